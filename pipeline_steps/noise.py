"""Noise that people and their machines make; each text has its own seeded randomness."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable

_KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def perturb(text: str, kind: str, rate: float, *, seed: int, example_id: str) -> str:
    """Return a noisy version of a text; rate 0 returns it unchanged.

    The result depends on the arguments only, not on other rows or their order.

    Parameters
    ----------
    text : str
        What was written.
    kind : str
        ``typos``: keyboard neighbours, swaps, losses and doublings of letters. ``casing``,
        ``punctuation`` and ``whitespace``: what the word says. ``word_loss`` and ``word_swap``
        (with the next): Wei and Zou 2019 (EDA); one word at least is left.
    rate : float
        Probability that a place (a letter; a word for casing and words) is changed.
    seed, example_id
        Together they seed the randomness.
    """
    key = hashlib.blake2b(f"{seed}:{kind}:{example_id}".encode(), digest_size=8).digest()
    generator = random.Random(int.from_bytes(key, "little"))  # noqa: S311 - no secret
    return _KINDS[kind](text, rate, generator)


def _typos(text: str, rate: float, generator: random.Random) -> str:
    letters = list(text)
    result: list[str] = []
    position = 0
    while position < len(letters):
        letter = letters[position]
        if letter.isalpha() and generator.random() < rate:
            following = letters[position + 1] if position + 1 < len(letters) else ""
            changed, used = _typo(letter, following, generator)
            result.append(changed)
            position += used
        else:
            result.append(letter)
            position += 1
    return "".join(result)


def _typo(letter: str, following: str, generator: random.Random) -> tuple[str, int]:
    """Return what is typed in place of a letter, and how many letters it replaces."""
    kind = generator.choice(("neighbour", "swap", "loss", "double"))
    if kind == "swap" and following.isalpha() and following != letter:
        return following + letter, 2
    if kind == "loss":
        return "", 1
    if kind == "double":
        return letter * 2, 1
    return generator.choice(_neighbours(letter)), 1


def _neighbours(letter: str) -> str:
    """Return the keys beside a letter's key, in its case; a letter on no key doubles instead."""
    for row in _KEYBOARD:
        index = row.find(letter.lower())
        if index >= 0:
            beside = row[max(0, index - 1) : index] + row[index + 1 : index + 2]
            return beside.upper() if letter.isupper() else beside
    return letter * 2


def _casing(text: str, rate: float, generator: random.Random) -> str:
    changes: tuple[Callable[[str], str], ...] = (str.lower, str.upper, str.swapcase)
    words = text.split(" ")
    return " ".join(
        generator.choice(changes)(word) if generator.random() < rate else word for word in words
    )


def _punctuation(text: str, rate: float, generator: random.Random) -> str:
    result = []
    for character in text:
        hit = generator.random() < rate
        if hit and character in ".,!?;:'":
            continue
        result.append(character)
        if hit and character == " ":
            result.insert(len(result) - 1, generator.choice((",", ".", "...", "!")))
    return "".join(result)


def _whitespace(text: str, rate: float, generator: random.Random) -> str:
    result = []
    for character in text:
        hit = generator.random() < rate
        if hit and character == " ":
            result.append(generator.choice(("", "  ", "\t")))
        elif hit and character.isalpha():
            result.append(character + " ")
        else:
            result.append(character)
    return "".join(result)


def _word_loss(text: str, rate: float, generator: random.Random) -> str:
    words = text.split(" ")
    kept = [word for word in words if generator.random() >= rate]
    return " ".join(kept or [generator.choice(words)])


def _word_swap(text: str, rate: float, generator: random.Random) -> str:
    words = text.split(" ")
    for place in range(len(words) - 1):
        if generator.random() < rate:
            words[place], words[place + 1] = words[place + 1], words[place]
    return " ".join(words)


_KINDS: dict[str, Callable[[str, float, random.Random], str]] = {
    "typos": _typos,
    "casing": _casing,
    "punctuation": _punctuation,
    "whitespace": _whitespace,
    "word_loss": _word_loss,
    "word_swap": _word_swap,
}
