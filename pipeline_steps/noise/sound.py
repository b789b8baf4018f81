"""Words that a speech recogniser writes for others that sound the same."""

from __future__ import annotations

import random
from collections import defaultdict
from functools import cache

from pipeline_steps.noise.places import WORD, changed_places, in_case_of, is_plainly_cased
from pipeline_steps.noise.resources import FREQUENT_WORDS, PRONUNCIATIONS

_MOST_FREQUENT = 3
_FREQUENT = 12_500  # behind it the list has names and other languages: mai, deux


def homophones(text: str, rate: float, generator: random.Random) -> str:
    """Return a text in which words stand for others that sound the same; English.

    Parameters
    ----------
    text : str
        What was said.
    rate : float
        Probability that a word with homophones is replaced, by one of the three most frequent.
    generator : random.Random
        Which words, and by which.
    """
    known = homophones_of()

    def options(word: str) -> list[str]:
        found = known.get(word.lower(), ())
        return [in_case_of(w, word) for w in found] if found and is_plainly_cased(word) else []

    return changed_places(text, WORD, rate, generator, options)


@cache
def homophones_of() -> dict[str, tuple[str, ...]]:
    """Return word -> frequent words of the same first pronunciation, the most frequent first.

    Words of one letter, and words that the default base model does not know as a whole, are none.
    """
    rank = {word: place for place, word in enumerate(FREQUENT_WORDS.read().splitlines())}
    alike: dict[str, list[str]] = defaultdict(list)
    for word, sound in pronunciations().items():
        if word in rank and word.isalpha() and len(word) > 1:
            alike[sound].append(word)
    groups = [sorted(words, key=rank.__getitem__) for words in alike.values()]
    pairs = (
        (word, [other for other in group if other != word and rank[other] < _FREQUENT])
        for group in groups
        for word in group
    )
    return {word: tuple(others[:_MOST_FREQUENT]) for word, others in pairs if others}


@cache
def pronunciations() -> dict[str, str]:
    """Return word -> its first pronunciation, phones with their stress; a later one has (2)."""
    lines = (line.partition("#")[0].strip() for line in PRONUNCIATIONS.read().splitlines())
    pairs = (line.partition(" ") for line in lines if line)
    return {word: sound for word, _, sound in pairs if "(" not in word}
