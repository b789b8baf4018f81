"""Writes short conversations with a lender of tools, and four replies of which one is right.

The wrong ones are replies to something else, or the right one about another tool.
"""

from __future__ import annotations

import random

from examples.rows import Files, Row, different, write_files

TOOLS = (
    "drill",
    "ladder",
    "chainsaw",
    "mower",
    "sander",
    "cement mixer",
    "pressure washer",
    "tile saw",
)
TOPICS = (
    (("what does the {} cost for a day", "how much is the {}"), "a day with the {0} costs {1} euros"),
    (("is the {} there on Saturday", "can I have the {} at the weekend"), "yes, the {0} is free from Friday at {1}"),
    (("the {} does not start", "something is wrong with the {}"), "please bring the {0} back, we lend you another"),
    (("how long may I keep the {}", "when must the {} be back"), "you can keep the {0} for {1} days"),
    (("do you bring the {} to my house", "can the {} be delivered"), "we bring the {0} for {1} euros more"),
    (("how do I clean the {}", "must I wash the {} before I return it"), "wipe the {0} with a dry cloth, that is enough"),
)  # fmt: skip
GREETINGS = ("good morning", "hello", "hi there", "good evening")


def _reply(topic: int, tool: str, random_: random.Random) -> str:
    return TOPICS[topic][1].format(tool, random_.randint(4, 18))


def _row(random_: random.Random) -> Row:
    tool, other = random_.sample(TOOLS, 2)
    topic, *wrong = random_.sample(range(len(TOPICS)), 3)
    right = _reply(topic, tool, random_)
    candidates = [
        right,
        _reply(topic, other, random_),
        *(_reply(one, tool, random_) for one in wrong),
    ]
    random_.shuffle(candidates)
    asked = random_.choice(TOPICS[topic][0]).format(tool)
    said = [
        ("user", random_.choice(GREETINGS)),
        ("assistant", random_.choice(("how can I help?", "what can I do for you?"))),
        ("user", asked + random_.choice(("?", " please?", "? it is a bit urgent"))),
    ]
    messages = [{"role": role, "content": text} for role, text in said]
    return {"messages": messages, "candidates": candidates, "right": candidates.index(right)}


def make_files(seed: int) -> Files:
    """Return the rows of each file."""
    return {"train": different(_row, 500, random.Random(seed))}


if __name__ == "__main__":
    write_files(make_files, __doc__)
