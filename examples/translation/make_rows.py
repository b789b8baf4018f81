"""Writes sentences of a small made-up phrase book, English and German, put together from parts."""

from __future__ import annotations

import random

from examples.rows import Files, Row, different, write_files

# English, German in the nominative and in the accusative.
WHO = (
    ("the man", "der Mann"), ("the woman", "die Frau"), ("the child", "das Kind"),
    ("my sister", "meine Schwester"), ("my brother", "mein Bruder"), ("our neighbour", "unser Nachbar"),
    ("the teacher", "die Lehrerin"), ("the driver", "der Fahrer"), ("the guest", "der Gast"),
)  # fmt: skip
WHAT = (
    ("the letter", "den Brief"), ("the bread", "das Brot"), ("the key", "den Schlüssel"),
    ("a ticket", "eine Fahrkarte"), ("the book", "das Buch"), ("an apple", "einen Apfel"),
    ("the lamp", "die Lampe"), ("the bag", "die Tasche"), ("a chair", "einen Stuhl"),
)  # fmt: skip
DOES = (
    ("buys", "kauft"), ("sees", "sieht"), ("looks for", "sucht"), ("finds", "findet"),
    ("brings", "bringt"), ("needs", "braucht"), ("takes", "nimmt"), ("sells", "verkauft"),
)  # fmt: skip
WHEN = (
    ("today", "heute"), ("tomorrow", "morgen"), ("in the evening", "am Abend"),
    ("on Monday", "am Montag"), ("again", "wieder"), ("often", "oft"),
)  # fmt: skip


def _row(random_: random.Random) -> Row:
    who, what, does, when = (random_.choice(part) for part in (WHO, WHAT, DOES, WHEN))
    form = random_.randrange(4)
    if form == 0:  # the verb stays in the second place, in German
        return {
            "source": f"{when[0]} {who[0]} {does[0]} {what[0]}",
            "target": f"{when[1]} {does[1]} {who[1]} {what[1]}",
        }
    if form == 1:
        return {
            "source": f"{who[0]} {does[0]} {what[0]} {when[0]}",
            "target": f"{who[1]} {does[1]} {when[1]} {what[1]}",
        }
    if form == 2:
        return {
            "source": f"I know that {who[0]} {does[0]} {what[0]}",
            "target": f"ich weiß, dass {who[1]} {what[1]} {does[1]}",
        }
    return {
        "source": f"{who[0]} {does[0]} {what[0]}",
        "target": f"{who[1]} {does[1]} {what[1]}",
    }


def make_files(seed: int) -> Files:
    """Return the rows of each file."""
    return {"train": different(_row, 1200, random.Random(seed))}


if __name__ == "__main__":
    write_files(make_files, __doc__)
