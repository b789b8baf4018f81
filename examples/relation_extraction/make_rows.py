"""Writes sentences with two marked things, and what one is to the other: cause, part, or neither.

The label says the direction too: in "the flood was caused by the rain" the cause comes second.
"""

from __future__ import annotations

import random

from examples.rows import Files, Row, different, write_files

CAUSES = (
    "rain",
    "frost",
    "short circuit",
    "software update",
    "strike",
    "leak",
    "storm",
    "typing error",
)
EFFECTS = (
    "flood",
    "delay",
    "power cut",
    "outage",
    "crack",
    "fire",
    "loss",
    "complaint",
    "shortage",
)
PARTS = (
    "wheel",
    "battery",
    "hinge",
    "lid",
    "handle",
    "screen",
    "sleeve",
    "chapter",
    "roof",
    "filter",
)
WHOLES = ("bicycle", "phone", "gate", "kettle", "pump", "coat", "book", "house", "engine", "camera")
OTHERS = ("baker", "letter", "parcel", "river", "ladder", "teacher", "map", "garden", "market")
CAUSE, PART = "Cause-Effect", "Component-Whole"
FORMS = (
    (CAUSE, "e1,e2", "the {0} caused the {1}"),
    (CAUSE, "e1,e2", "the {0} led to a {1}"),
    (CAUSE, "e1,e2", "because of the {0} there was a {1}"),
    (CAUSE, "e2,e1", "the {0} was caused by the {1}"),
    (CAUSE, "e2,e1", "the {0} came from a {1}"),
    (CAUSE, "e2,e1", "they put the {0} down to the {1}"),
    (PART, "e1,e2", "the {0} of the {1} is broken"),
    (PART, "e1,e2", "the {0} belongs to the {1}"),
    (PART, "e1,e2", "a new {0} was fitted to the {1}"),
    (PART, "e2,e1", "the {0} has a {1}"),
    (PART, "e2,e1", "the {0} came without its {1}"),
    (PART, "e2,e1", "this {0} consists of more than a {1}"),
    ("Other", "", "the {0} was seen near the {1}"),
    ("Other", "", "after the {0} we spoke about the {1}"),
    ("Other", "", "neither the {0} nor the {1} was mentioned"),
)
BEGINNINGS = ("", "as far as we know ", "the report says that ", "yesterday it was plain that ")
ENDS = ("", ", said the neighbours", " on the second day", " , which surprised nobody")


def _things(kind: str, direction: str, random_: random.Random) -> list[str]:
    if kind == "Other":
        return random_.sample(OTHERS + EFFECTS + WHOLES + PARTS, 2)
    first, second = (CAUSES, EFFECTS) if kind == CAUSE else (PARTS, WHOLES)
    things = [random_.choice(first), random_.choice(second)]
    return things if direction == "e1,e2" else things[::-1]


def _row(random_: random.Random) -> Row:
    kind, direction, form = random_.choice(FORMS)
    head, tail = _things(kind, direction, random_)
    before, between, after = form.replace("{1}", "{0}").split("{0}")
    start = random_.choice(BEGINNINGS) + before
    second = len(start) + len(head) + len(between)
    return {
        "text": f"{start}{head}{between}{tail}{after}{random_.choice(ENDS)}",
        "head_span": [len(start), len(start) + len(head)],
        "tail_span": [second, second + len(tail)],
        "relation": f"{kind}({direction})" if direction else kind,
    }


def make_files(seed: int) -> Files:
    """Return the rows of each file."""
    return {"train": different(_row, 600, random.Random(seed))}


if __name__ == "__main__":
    write_files(make_files, __doc__)
