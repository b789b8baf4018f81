"""How a text is set: its case, its punctuation, its blanks, where it ends and what follows it."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable

_WORD_AND_BLANKS = re.compile(r"\S+")


def casing(text: str, rate: float, generator: random.Random) -> str:
    """Return a text with words in lower, upper or swapped case.

    Parameters
    ----------
    text : str
        What was written.
    rate : float
        Probability that a word's case is set anew; it may be what it was.
    generator : random.Random
        Which words, and how.
    """
    changes: tuple[Callable[[str], str], ...] = (str.lower, str.upper, str.swapcase)
    words = text.split(" ")
    return " ".join(
        generator.choice(changes)(word) if generator.random() < rate else word for word in words
    )


def punctuation(text: str, rate: float, generator: random.Random) -> str:
    """Return a text without some of its punctuation, and with some that was not there.

    Parameters
    ----------
    text : str
        What was written.
    rate : float
        Probability that a mark is lost, and that a blank gets a mark before it.
    generator : random.Random
        Which, and which marks.
    """
    result = []
    for character in text:
        hit = generator.random() < rate
        if hit and character in ".,!?;:'":
            continue
        result.append(character)
        if hit and character == " ":
            result.insert(len(result) - 1, generator.choice((",", ".", "...", "!")))
    return "".join(result)


def whitespace(text: str, rate: float, generator: random.Random) -> str:
    """Return a text with lost, doubled and additional blanks.

    Parameters
    ----------
    text : str
        What was written.
    rate : float
        Probability that a blank is lost, doubled or a tab, and that a letter gets a blank behind.
    generator : random.Random
        Which, and how.
    """
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


def truncation(text: str, rate: float, generator: random.Random) -> str:
    """Return a text without its last words; one at least is left.

    Parameters
    ----------
    text : str
        What was written.
    rate : float
        Share of the words that are cut off, in expectation.
    generator : random.Random
        Whether a part of a word counts as one.
    """
    ends = [word.end() for word in _WORD_AND_BLANKS.finditer(text)]
    cut = int(rate * len(ends) + generator.random())
    return text[: ends[max(1, len(ends) - cut) - 1]] if ends and cut else text


def appended_text(text: str, rate: float, generator: random.Random) -> str:
    """Return a text with phrases behind it that say nothing about it.

    Tautologies (Naik et al. 2018), links and handles (Ribeiro et al. 2020, CheckList), and what
    telephones add.

    Parameters
    ----------
    text : str
        What was written.
    rate : float
        Words behind it as a share of its own; one phrase at least, unless it is 0.
    generator : random.Random
        Which phrases.
    """
    wanted = rate * len(text.split())
    phrases: list[str] = []
    while wanted > sum(len(phrase.split()) for phrase in phrases):
        phrases.append(_phrase(generator))
    return " ".join([text, *phrases]) if phrases else text


def _phrase(generator: random.Random) -> str:
    name = "".join(generator.choices(string.ascii_letters + string.digits, k=7))
    phrases = (
        "and true is true", "and false is not true", f"https://t.co/{name}", f"@{name}",
        "Sent from my phone", "sent 2 minutes ago",
    )  # fmt: skip
    return generator.choice(phrases)
