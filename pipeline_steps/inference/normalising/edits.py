"""One edit apart: which slip makes one word of another, and how likely a hand makes it."""

from __future__ import annotations

from collections.abc import Iterator

_KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_LIKE = {
    "a": "@4", "b": "68", "c": "e(", "e": "3c", "g": "9q6", "h": "b", "i": "1l!", "l": "1i|",
    "o": "0", "s": "$5", "t": "7", "z": "2", "q": "9",
}  # fmt: skip
SWAPPED, LOST, ALIKE, DOUBLED, OTHER = 1.0, 1.0, 0.4, 0.5, 0.05
"""How likely a slip is: of all swaps of a word few give this one; of letters, many are possible."""


def shortened(word: str) -> Iterator[str]:
    """Yield the word without each of its letters."""
    return (word[:place] + word[place + 1 :] for place in range(len(word)))


def slip(word: str, meant: str) -> float:
    """Return how likely ``word`` was written for ``meant`` by one slip; 0 where it takes more.

    A slip is a swap of neighbours, a lost, another or an additional letter (Damerau 1964); those
    of neighbouring keys, lookalikes and doubled letters are likelier, as in the noisy channel of
    Kernighan, Church and Gale (1990). The weights are rounded guesses, not estimates.

    Examples
    --------
    >>> slip("graet", "great"), slip("grat", "great"), slip("food", "good"), slip("god", "dog")
    (1.0, 1.0, 0.05, 0.0)
    """
    start = _same_start(word, meant)
    rest, wanted = word[start:], meant[start:]
    if len(rest) == len(wanted):
        if rest[1:] == wanted[1:]:
            return _replaced(rest[:1], wanted[:1])
        is_swap = rest[:2] == wanted[1::-1] and rest[2:] == wanted[2:]
        return SWAPPED if is_swap else 0.0
    if rest == wanted[1:]:
        return LOST
    if rest[1:] == wanted:
        beside = {word[start - 1] if start else "", wanted[:1]}
        return DOUBLED if rest[0] in beside else OTHER
    return 0.0


def _same_start(one: str, other: str) -> int:
    place = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        place += 1
    return place


def _replaced(letter: str, meant: str) -> float:
    near = letter in _LIKE.get(meant, "") or letter in _keys_beside(meant)
    return ALIKE if near else OTHER


def _keys_beside(letter: str) -> str:
    for row in _KEYBOARD:
        index = row.find(letter) if letter else -1
        if index >= 0:
            return row[max(0, index - 1) : index] + row[index + 1 : index + 2]
    return ""
