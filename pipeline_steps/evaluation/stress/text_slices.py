"""Subpopulations read off the text: long or short, rare words, negation, numbers, questions.

They need no column in the data, so that every report can have them. Each is a guess by spelling:
a word list for English, no grammar.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline_steps.evaluation.scored import ScoredRows
from pipeline_steps.evaluation.slices import slice_metrics
from pipeline_steps.evaluation_types import SliceMetrics
from pipeline_steps.judging_params import EvaluateParams

Array = np.ndarray[Any, Any]
_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")
_NEGATION = re.compile(
    r"\b(?:no|not|never|none|nobody|nothing|neither|nor|nowhere|without|cannot)\b"
    r"|\w+n['\u2019]t\b",
    re.IGNORECASE,
)
_FEW_RARE = 0.2
COLUMNS = ("length", "rare_words", "negation", "number", "question")


@dataclass(frozen=True)
class TextProfile:
    """What the train texts are like: slices of all suites are cut by the same measure."""

    frequent: frozenset[str]
    short: float  # words; the lower tercile
    long: float  # words; the upper tercile


def text_profile(texts: Iterable[str], frequent_words: int) -> TextProfile:
    """Return the most frequent words of the train texts and the terciles of their lengths.

    Words of equal frequency are taken in the order of the alphabet.
    """
    counts: Counter[str] = Counter()
    lengths = []
    for text in texts:
        words = _words(text)
        counts.update(words)
        lengths.append(len(words))
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    short, long = np.quantile(lengths or [0], [1 / 3, 2 / 3])
    return TextProfile(frozenset(ranked[:frequent_words]), float(short), float(long))


def text_columns(texts: Sequence[str], profile: TextProfile) -> dict[str, Array]:
    """Return slice columns of texts, each (n,) str.

    ``length``: short, medium or long by the terciles of the train texts; ``rare_words``: none,
    few (up to a fifth of the words) or many of the words are not among the frequent ones of train;
    ``negation``, ``number`` and ``question`` (has a question mark): yes or no.

    Examples
    --------
    >>> profile = TextProfile(frozenset({"my", "card", "is", "not", "here"}), 3.0, 5.0)
    >>> {n: c[0] for n, c in text_columns(["My card isn't here?"], profile).items()}
    ... # doctest: +NORMALIZE_WHITESPACE
    {'length': 'medium', 'rare_words': 'many', 'negation': 'yes', 'number': 'no',
     'question': 'yes'}
    """
    rows = [_describe(text, profile) for text in texts]
    return {
        name: np.array([row[place] for row in rows], dtype=object)
        for place, name in enumerate(COLUMNS)
    }


def text_slices(
    rows: ScoredRows, columns: dict[str, Array], params: EvaluateParams
) -> tuple[SliceMetrics, ...]:
    """Return the first headline metric of each subpopulation that has enough rows."""
    asked = params.model_copy(update={"slice_columns": params.text_slices})
    return slice_metrics(rows, columns, asked, rows.headlines[:1])


def _describe(text: str, profile: TextProfile) -> tuple[str, ...]:
    words = _words(text)
    rare = sum(word not in profile.frequent for word in words) / max(len(words), 1)
    return (
        _tercile(len(words), profile),
        "none" if not rare else "few" if rare <= _FEW_RARE else "many",
        _yes(_NEGATION.search(text)),
        _yes(any(letter.isnumeric() for letter in text)),
        _yes("?" in text or "\uff1f" in text),
    )


def _tercile(n_words: int, profile: TextProfile) -> str:
    if n_words <= profile.short:
        return "short"
    return "medium" if n_words <= profile.long else "long"


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _yes(found: object) -> str:
    return "yes" if found else "no"
