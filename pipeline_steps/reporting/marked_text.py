"""Two versions of a text as one, with what was taken out and what was put in."""

from __future__ import annotations

import difflib
import re
import unicodedata
from typing import Literal, NamedTuple

_PIECE = re.compile(r"\s+|[\w'\u2019\u200b-\u200f\u2060-\u2064\u00ad\ufeff-]+|.", re.DOTALL)
_WIDTHLESS = {"Cf", "Mn", "Cc"}
Kind = Literal["same", "del", "ins"]


class Part(NamedTuple):
    """A stretch of text; ``note`` names characters that nobody would see."""

    kind: Kind
    text: str
    note: str = ""


def marked(original: str, changed: str) -> list[Part]:
    """Return both texts as one: whole words are taken out and put in.

    Examples
    --------
    >>> [(part.kind, part.text) for part in marked("a good film", "a godo film")]
    [('same', 'a '), ('del', 'good'), ('ins', 'godo'), ('same', ' film')]
    """
    before, after = _PIECE.findall(original), _PIECE.findall(changed)
    parts: list[Part] = []
    matcher = difflib.SequenceMatcher(a=before, b=after, autojunk=False)
    for what, a, b, c, d in matcher.get_opcodes():
        gone, come = "".join(before[a:b]), "".join(after[c:d])
        if what == "equal":
            parts.append(Part("same", gone))
            continue
        if gone:
            parts.append(Part("del", gone))
        if come:
            parts.append(Part("ins", come, _unseen(gone, come)))
    return parts


def _unseen(gone: str, come: str) -> str:
    r"""Return the names of new characters without width, or that only look like the old ones.

    Examples
    --------
    >>> _unseen("good", "g\u043eod"), _unseen("good", "godo")
    ('U+043E', '')
    """
    new = [
        char
        for char in dict.fromkeys(come)
        if char not in gone and (not char.isascii() and (gone.isascii() or _is_widthless(char)))
    ]
    return " ".join(f"U+{ord(char):04X}" for char in new)


def _is_widthless(char: str) -> bool:
    return unicodedata.category(char) in _WIDTHLESS
