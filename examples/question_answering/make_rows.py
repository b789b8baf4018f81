"""Writes notices of made-up places with questions on them; some have no answer in the notice."""

from __future__ import annotations

import random

from examples.rows import Files, Row, write_files

KINDS = ("museum", "library", "swimming pool", "bakery", "theatre", "garden", "workshop", "archive")
NAMES = ("Alder", "Birch", "Cedar", "Dogwood", "Elm", "Fir", "Hazel", "Juniper", "Larch", "Maple")
PEOPLE = (
    "Ada Brandt",
    "Boris Clay",
    "Clara Dunn",
    "David Eger",
    "Ella Frost",
    "Georg Hahn",
    "Ida Jung",
)
COLOURS = ("red brick", "white stone", "dark timber", "glass and steel", "yellow sandstone")
FACTS = (
    ("It opened in {}", lambda r: str(r.randint(1850, 2020)), ("When did it open?", "In which year was the opening?")),
    ("It is run by {}", lambda r: r.choice(PEOPLE), ("Who runs it?", "Who is in charge?")),
    ("A ticket costs {}", lambda r: f"{r.randint(2, 30)} euros", ("What does a ticket cost?", "How much is a ticket?")),
    ("It is closed on {}", lambda r: r.choice(("Mondays", "Tuesdays", "Sundays", "public holidays")), ("When is it closed?", "On which days is it shut?")),
    ("The house is built of {}", lambda r: r.choice(COLOURS), ("What is it built of?", "Which material is the house made of?")),
    ("It is in {} Street", lambda r: r.choice(NAMES), ("In which street is it?", "Where is it?")),
    ("About {} people come every year", lambda r: f"{r.randint(2, 90)},000", ("How many people come every year?", "How many visitors does it have?")),
)  # fmt: skip


def _notice(random_: random.Random) -> list[Row]:
    """Return three questions on one notice: two with an answer, one perhaps without."""
    name = f"{random_.choice(NAMES)} {random_.choice(KINDS)}"
    *told, untold = random_.sample(FACTS, 5)
    context, found = f"The {name} is well known.", []
    for form, draw, questions in told:
        answer = draw(random_)
        start = len(context) + 1 + form.index("{}")
        context += f" {form.format(answer)}."
        found.append((random_.choice(questions), [{"text": answer, "start": start}]))
    asked = random_.sample(found, 3)
    if random_.random() < 0.6:
        asked[-1] = (random_.choice(untold[2]), [])
    return [{"context": context, "question": q, "answers": a} for q, a in asked]


def make_files(seed: int) -> Files:
    """Return the rows of each file."""
    random_ = random.Random(seed)
    return {"train": [row for _ in range(260) for row in _notice(random_)]}


if __name__ == "__main__":
    write_files(make_files, __doc__)
