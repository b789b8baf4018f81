"""BLEU (Papineni et al. 2002) as sacreBLEU has it by default (Post 2018): a function of sums.

The signature is ``nrefs:var|case:mixed|eff:no|tok:13a|smooth:exp``; a score of 1 here is one of 100
there. Sums over rows, not means of row scores: that is what makes it corpus BLEU.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
ORDER = 4
WIDTH = 2 + 2 * ORDER
"""Numbers that a row adds: length, reference length, n-grams found and n-grams said."""
_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
_RULES = (
    (re.compile(r"([\{-\~\[-\` -\&\(-\+\:-\@\/])"), r" \1 "),
    (re.compile(r"([^0-9])([\.,])"), r"\1 \2 "),
    (re.compile(r"([\.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)


def tokens_13a(text: str) -> list[str]:
    """Return words and marks as ``mteval-v13a.pl`` cuts them, which sacreBLEU calls ``13a``.

    Examples
    --------
    >>> tokens_13a("It costs 3.50, doesn't it?")
    ['It', 'costs', '3.50', ',', "doesn't", 'it', '?']
    """
    line = text.rstrip().replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, sign in _ENTITIES:
        line = line.replace(entity, sign)
    line = f" {line} "
    for pattern, replacement in _RULES:
        line = pattern.sub(replacement, line)
    return line.split()


def bleu_counts(references: Sequence[str], text: str) -> list[int]:
    """Return what a row adds: (length, closest reference length, matches x 4, n-grams x 4)."""
    said = tokens_13a(text)
    wanted = [tokens_13a(reference) for reference in references]
    best: Counter[tuple[str, ...]] = Counter()
    for reference in wanted:
        best |= _ngrams(reference)
    found, total = [0] * ORDER, [0] * ORDER
    for ngram, count in _ngrams(said).items():
        total[len(ngram) - 1] += count
        found[len(ngram) - 1] += min(count, best[ngram])
    closest = min((abs(len(said) - len(r)), len(r)) for r in wanted)[1]
    return [len(said), closest, *found, *total]


def bleu(sums: Array) -> Array:
    """Return corpus BLEU, 0 to 1, of sums (..., 10) of :func:`bleu_counts`.

    An order without a match counts as half a match, the next such one as a quarter (smoothing
    method 3 of Chen & Cherry 2014); without any match, or any 4-gram, the score is 0.
    """
    said, wanted = sums[..., 0], sums[..., 1]
    found, total = sums[..., 2 : 2 + ORDER], sums[..., 2 + ORDER :]
    halvings = 2.0 ** np.cumsum(found == 0, axis=-1)
    numerator = np.where(found == 0, 1.0 / halvings, found)
    logs = np.log(numerator) - np.log(np.maximum(total, 1e-300))
    brevity = np.minimum(0.0, 1.0 - wanted / np.maximum(said, 1e-300))
    defined = (found.sum(axis=-1) > 0) & (total > 0).all(axis=-1)
    return np.where(defined, np.exp(np.where(defined, brevity + logs.mean(axis=-1), 0.0)), 0.0)


def _ngrams(tokens: Sequence[str]) -> Counter[tuple[str, ...]]:
    return Counter(
        tuple(tokens[start : start + n])
        for n in range(1, ORDER + 1)
        for start in range(len(tokens) - n + 1)
    )
