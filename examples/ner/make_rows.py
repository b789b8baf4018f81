"""Writes sentences of made-up parcel notes with the people, places, firms and days in them.

The file new_names has names that the training rows do not have.
"""

from __future__ import annotations

import random

from examples.rows import Files, Row, different, write_files

FORMS = (
    "please bring the parcel of {PERSON} to {PLACE} on {DAY}",
    "{PERSON} from {FIRM} called again and waits in {PLACE}",
    "the driver left {PLACE} late , so {FIRM} gets it on {DAY}",
    "{FIRM} says that {PERSON} has moved to {PLACE}",
    "nobody was at home , {PERSON} asks for another try on {DAY}",
    "two boxes for {FIRM} and one for {PERSON}",
    "is {PLACE} still closed on {DAY} ?",
    "the bill goes to {FIRM} , not to {PERSON} in {PLACE}",
    "the parcel was wet but nobody complained",
    "hand it to the neighbour if the door is closed",
)
FIRST = {
    "old": ("Anna", "Bela", "Carl", "Dora", "Emil", "Frida", "Gustav", "Hanna", "Ivo", "Jana"),
    "new": ("Karla", "Levin", "Mira", "Nils", "Olga", "Piet"),
}
LAST = {
    "old": ("Arndt", "Berger", "Cramer", "Dietz", "Ebner", "Falk", "Grimm", "Hauser", "Imhof"),
    "new": ("Jansen", "Krause", "Lorenz", "Mahler", "Noll"),
}
PLACE = {
    "old": (
        "Altdorf",
        "Birkenau",
        "Castle Hill",
        "Dornbach",
        "Elm Street",
        "Feldkirch",
        "Grove End",
    ),
    "new": ("Hagenow", "Iron Bridge", "Kirchheim", "Long Meadow"),
}
FIRM = {
    "old": ("Arbor Ltd", "Blue Kiln", "Corbel & Co", "Delta Prints", "Elmwood Press", "Falke"),
    "new": ("Gannet Works", "Helios Ltd", "Ibex", "Juno & Daughters"),
}
DAY = ("Monday", "Tuesday", "next Friday", "3 May", "the 12th", "Saturday morning", "1 June")


def _entity(kind: str, age: str, random_: random.Random) -> str:
    if kind == "PERSON":
        first, last = random_.choice(FIRST[age]), random_.choice(LAST[age])
        return random_.choice((f"{first} {last}", first, f"Mr {last}", f"Mrs {last}"))
    return random_.choice(DAY if kind == "DAY" else (PLACE if kind == "PLACE" else FIRM)[age])


def _row(random_: random.Random, age: str) -> Row:
    tokens: list[str] = []
    tags: list[str] = []
    for word in random_.choice(FORMS).split():
        kind = word.strip("{}")
        words = _entity(kind, age, random_).split() if word != kind else [word]
        tokens += words
        tags += [f"B-{kind}", *[f"I-{kind}"] * (len(words) - 1)] if word != kind else ["O"]
    if random_.random() < 0.3:  # a hurried writer
        tokens = [token.lower() for token in tokens]
    greeting = random_.choice(
        ([], ["hello", ","], ["urgent", ":"], ["note", str(random_.randint(1, 99))])
    )
    return {"tokens": [*greeting, *tokens], "tags": ["O"] * len(greeting) + tags}


def make_files(seed: int) -> Files:
    """Return the rows of each file."""
    random_ = random.Random(seed)
    return {
        "train": different(lambda r: _row(r, "old"), 500, random_),
        "new_names": different(lambda r: _row(r, "new"), 150, random_),
    }


if __name__ == "__main__":
    write_files(make_files, __doc__)
