"""Writes notes on made-up disturbances, each with a summary in one line: what, where, how long."""

from __future__ import annotations

import random

from examples.rows import Files, Row, different, write_files

WHAT = ("lift", "heating", "printer", "door", "projector", "phone line", "coffee machine", "alarm")
WHERE = ("library", "canteen", "lobby", "workshop", "archive", "garage", "office", "lecture hall")
LONG = ("an hour", "two hours", "half a day", "a day", "three days", "a week")
OPENINGS = (
    "In the morning a visitor told us that the {what} in the {where} did not work.",
    "A colleague from the {where} called because of the {what}.",
    "When the {where} was opened, the {what} was found broken.",
)
MIDDLES = (
    "Nobody was hurt.",
    "We put up a sign and told the front desk.",
    "The weather had nothing to do with it.",
    "A first try to mend it failed.",
    "Several people asked about it.",
)
CLOSINGS = (
    "It was mended after {long}.",
    "The repair took {long}, then all was well.",
    "After {long} it worked again.",
)


def _row(random_: random.Random) -> Row:
    names = {
        "what": random_.choice(WHAT),
        "where": random_.choice(WHERE),
        "long": random_.choice(LONG),
    }
    middle = random_.sample(MIDDLES, random_.randint(1, 3))
    parts = [random_.choice(OPENINGS), *middle, random_.choice(CLOSINGS)]
    return {
        "document": " ".join(parts).format(**names),
        "summary": "{what} in {where} down for {long}".format(**names),
    }


def make_files(seed: int) -> Files:
    """Return the rows of each file."""
    return {"train": different(_row, 800, random.Random(seed))}


if __name__ == "__main__":
    write_files(make_files, __doc__)
