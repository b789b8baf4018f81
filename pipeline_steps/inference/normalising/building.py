"""A normaliser from the training rows and the words that the base model knows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from pipeline_steps.inference.flips import whole_words
from pipeline_steps.inference.normalising.normaliser import WORD, Normaliser
from pipeline_steps.noise.resources import CONFUSABLES
from pipeline_steps.normalisation_params import NormalisationParams

_SHARE_OF_FIRST = 0.1
"""Of a text's words, that of the most frequent one; word r has 1 / r of it (Zipf 1935)."""
_MOST_LETTERS = 64
"""Of a known word: what is longer is an address or a key, and mending takes the cube of letters."""


def build_normaliser(
    texts: Iterable[str], tokenizer: Any, params: NormalisationParams
) -> Normaliser:
    """Return the normaliser of training texts.

    Parameters
    ----------
    texts : iterable of str
        The training rows; no other rows are read.
    tokenizer : PreTrainedTokenizerBase
        Of the base model, whose whole words are known as well.
    params : NormalisationParams
        What is asked for.

    Raises
    ------
    MissingDependencyError
        If confusables are asked for and the extra ``noise`` is not installed.
    """
    folds = ascii_folds() if params.confusables else {}
    weights = _weights(texts, tokenizer, params.base_weight) if params.spelling else {}
    return Normaliser(weights, folds, params.absorption)


def _weights(texts: Iterable[str], tokenizer: Any, base_weight: float) -> dict[str, float]:
    words = (word[0].lower() for text in texts for word in WORD.finditer(text))
    counted = Counter(word for word in words if any(map(str.isalpha, word)))
    weights = {word: float(n) for word, n in sorted(counted.items())}
    if base_weight:
        first = _SHARE_OF_FIRST * counted.total()
        _, names = whole_words(tokenizer)
        for rank, name in enumerate(dict.fromkeys(map(str.lower, names)), start=1):
            more = base_weight * first / rank
            weights[name] = round(weights.get(name, 0.0) + more, 4)
    return {word: weight for word, weight in weights.items() if len(word) <= _MOST_LETTERS}


def ascii_folds() -> dict[str, str]:
    """Return character -> the one ASCII letter or digit that it looks like (Unicode UTS 39)."""
    table = json.loads(CONFUSABLES.read())
    found = {}
    for other, entries in sorted(table.items()):
        plain = {entry["c"].lower() for entry in entries if entry["c"].isascii()}
        if len(other) == 1 and not other.isascii() and len(plain) == 1:
            (letter,) = plain
            if len(letter) == 1 and letter.isalnum():
                found[other] = letter
    return found
