"""Characters that are not seen or look like others, made what a reader takes them for."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

_JOINERS = "\u200c\u200d"
_FIRST_JOINING = 0x0590
"""From Hebrew on there are scripts, and emoji, in which joiners change what is read."""
_WORD = re.compile(r"\w+")


def visible(text: str) -> str:
    """Return a text without characters that are not seen, in compatibility form (NFKC).

    Format characters (category Cf) and variation selectors go; joiners stay behind letters of
    scripts that need them.
    """
    if text.isascii():
        return text
    kept: list[str] = []
    for character in unicodedata.normalize("NFKC", text):
        joins = character in _JOINERS and kept and ord(kept[-1]) >= _FIRST_JOINING
        if joins or not _is_unseen(character):
            kept.append(character)
    return unicodedata.normalize("NFKC", "".join(kept))


def _is_unseen(character: str) -> bool:
    return unicodedata.category(character) == "Cf" or "\ufe00" <= character <= "\ufe0f"


def unmasked(text: str, folds: Mapping[str, str]) -> str:
    """Return a text whose words of mixed scripts have ASCII letters in place of lookalikes.

    A word is folded where it has ASCII letters beside the lookalikes, or where all of it can be
    folded and stands between words of ASCII letters: a Russian word in a Russian text stays.

    Parameters
    ----------
    text : str
        What was written.
    folds : mapping
        Character that is not ASCII -> the ASCII letter or digit that it looks like.
    """
    if text.isascii() or not folds:
        return text
    letters = [character for character in text if character.isalpha()]
    is_latin = 2 * sum(character.isascii() for character in letters) >= len(letters)

    def fold(word: re.Match[str]) -> str:
        plain = "".join(folds.get(character, character) for character in word[0])
        mixed = any(character.isascii() and character.isalpha() for character in word[0])
        return plain if mixed or (is_latin and plain.isascii()) else word[0]

    return _WORD.sub(fold, text)
