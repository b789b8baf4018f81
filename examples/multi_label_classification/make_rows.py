"""Writes what guests of a made-up hotel say, with every subject that they speak of."""

from __future__ import annotations

import random

from examples.rows import Files, Row, different, write_files

SUBJECTS = {
    "room": ("our room was {how}", "the bed is {how}", "the windows were {how}"),
    "food": ("breakfast was {how}", "the soup tasted {how}", "I found the dinner {how}"),
    "staff": ("the receptionist was {how}", "the waiter seemed {how}", "everyone at the desk is {how}"),
    "price": ("for this money it is {how}", "the bill was {how}", "what they charge is {how}"),
    "noise": ("the street is {how} at night", "we heard the lift, which was {how}", "the party was {how}"),
    "pool": ("the pool was {how}", "swimming was {how}", "the sauna is {how}"),
}  # fmt: skip
HOW = ("quite good", "a bit strange", "just as we hoped", "not what I expected", "fine", "awful")
NOTHING = (
    "we stayed for {n} nights",
    "this was our visit number {n}",
    "we came by train, {n} of us",
)


def _row(random_: random.Random) -> Row:
    found = random_.sample(sorted(SUBJECTS), random_.choice((0, 1, 1, 2, 2, 3)))
    said = [random_.choice(SUBJECTS[name]).format(how=random_.choice(HOW)) for name in found]
    said.append(random_.choice(NOTHING).format(n=random_.randint(2, 40)))
    random_.shuffle(said)
    return {"text": ", ".join(said), "labels": sorted(found)}


def make_files(seed: int) -> Files:
    """Return the rows of each file."""
    return {"train": different(_row, 700, random.Random(seed))}


if __name__ == "__main__":
    write_files(make_files, __doc__)
