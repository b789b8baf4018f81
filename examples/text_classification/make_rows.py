"""Writes lines of made-up company news, each with the mood it puts an investor in.

One line in twenty has a wrong label, as real ones do. The later file is about things that the first
one does not know, and says what happened to them in some words that the first one lacks.
"""

from __future__ import annotations

import random
from datetime import date, timedelta

from examples.rows import Files, Row, different, write_files

COMPANIES = (
    *("Aldermoor", "Brightwater", "Calder & Sons", "Dunmore", "Eastfold", "Farrow", "Glenhall"),
    *("Harrowgate Mills", "Inverlea", "Juniper Rail", "Kestrel Foods", "Larkfield", "Marlow"),
)
THINGS = ("profit", "revenue", "order intake", "the dividend", "market share", "cash flow")
LATER_THINGS = ("recurring income", "data-centre bookings", "battery output", "licence income")
GOOD = ("rose", "climbed", "beat all forecasts", "reached a record", "jumped", "recovered")
BAD = ("fell", "slipped", "missed all forecasts", "reached a new low", "dropped", "collapsed")
LATER_GOOD = (*GOOD[:3], "soared", "was better than hoped")
LATER_BAD = (*BAD[:3], "plunged", "was worse than feared")
CALM = (
    "{company} will publish its results on {day}",
    "{company} has moved its head office to the {place} of the town",
    "the annual meeting of {company} takes place on {day}",
    "{company} names a new member of the board, who begins on {day}",
    "{thing} of {company} was unchanged in the {quarter} quarter",
    "{company} makes and sells goods in {n} countries",
)
ENDS = (
    "",
    ", the company said",
    " in the {quarter} quarter",
    " by {n} percent",
    " once more",
)
LABELS = ("negative", "neutral", "positive")


def _filled(text: str, thing: str, random_: random.Random) -> str:
    return text.format(
        company=random_.choice(COMPANIES),
        thing=thing,
        day=random_.choice(("Monday", "Tuesday", "Thursday", "Friday")),
        place=random_.choice(("north", "south", "old part", "centre")),
        quarter=random_.choice(("first", "second", "third", "last")),
        n=random_.randint(2, 60),
    )


def _line(random_: random.Random, *, later: bool) -> tuple[str, str]:
    thing = random_.choice(LATER_THINGS if later else THINGS)
    if random_.random() < 1 / 3:
        return _filled(random_.choice(CALM), thing, random_), "neutral"
    good, bad = (LATER_GOOD, LATER_BAD) if later else (GOOD, BAD)
    is_good = random_.random() < 0.5
    verb = random_.choice(good if is_good else bad)
    form = random_.choice(("{thing} of {company} " + verb, "at {company} {thing} " + verb))
    text = _filled(form + random_.choice(ENDS), thing, random_)
    return text, "positive" if is_good else "negative"


def _row(random_: random.Random, *, later: bool) -> Row:
    text, label = _line(random_, later=later)
    if random_.random() < 0.05:
        label = random_.choice(LABELS)
    first = date(2026, 1, 1) if later else date(2024, 1, 1)
    day = first + timedelta(days=random_.randrange(180 if later else 700))
    return {"text": text[0].upper() + text[1:], "sentiment": label, "date": day.isoformat()}


def make_files(seed: int) -> Files:
    """Return the rows of each file."""
    random_ = random.Random(seed)
    return {
        "train": different(lambda r: _row(r, later=False), 700, random_),
        "later": different(lambda r: _row(r, later=True), 150, random_),
    }


if __name__ == "__main__":
    write_files(make_files, __doc__)
