"""Writes conversations with a made-up bicycle shop; the last message is the reply to learn."""

from __future__ import annotations

import random

from examples.rows import Files, Row, different, write_files

PARTS = ("brake", "chain", "saddle", "bell", "lamp", "tyre", "pedal", "mudguard")
NAMES = ("Anna", "Boris", "Clara", "David", "Ella", "Georg", "Ida", "Jonas", "Karin", "Leo")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
TOPICS = (
    ("my {part} is broken", "bring it on {day} and we will mend the {part}"),
    ("how much is a new {part}", "a {part} costs between ten and thirty euros"),
    ("is the {part} ready", "yes, you can fetch the {part} on {day}"),
    ("do you sell a used {part}", "sorry, a used {part} is never safe"),
    ("can I mend the {part} myself", "yes, the course about the {part} is on {day}"),
)
DAY_OF = dict(zip(PARTS, (*DAYS, *DAYS), strict=False))
"""Each part has its day: a reply can be known from the question."""
GREETINGS = ("hello {name}, what can we do for you?", "good day {name}, how can we help?")


def _row(random_: random.Random) -> Row:
    part, name = random_.choice(PARTS), random_.choice(NAMES)
    asked, reply = random_.choice(TOPICS)
    begin = random_.choice(("hello, I am {name}", "{name} here", "good day, my name is {name}"))
    end = random_.choice(("?", " please", ", what now?"))
    turns = (begin, random_.choice(GREETINGS), asked + end, reply + ", {name}")
    said = [text.format(part=part, name=name, day=DAY_OF[part]) for text in turns]
    roles = ("user", "assistant", "user", "assistant")
    pairs = zip(roles, said, strict=True)
    return {"messages": [{"role": role, "content": text} for role, text in pairs]}


def make_files(seed: int) -> Files:
    """Return the rows of each file."""
    return {"train": different(_row, 700, random.Random(seed))}


if __name__ == "__main__":
    write_files(make_files, __doc__)
