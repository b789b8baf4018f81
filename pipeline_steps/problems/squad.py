"""Exact match and F1 of answers, as the evaluation scripts of SQuAD 1.1 and 2.0 have them.

Rajpurkar et al. (2016), "SQuAD: 100,000+ questions for machine comprehension of text", and (2018),
"Know what you don't know". Where the scripts differ (an answer that normalises to nothing), 2.0 is
followed.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalized(text: str) -> str:
    """Return a text in lower case without punctuation, articles and superfluous blanks.

    Examples
    --------
    >>> normalized("The  Eiffel Tower!")
    'eiffel tower'
    """
    plain = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", plain).split())


def best_scores(truths: Sequence[str], predicted: str) -> tuple[float, float]:
    """Return exact match and F1 against the best of the true answers; none: there is no answer.

    Examples
    --------
    >>> best_scores(["the Eiffel Tower", "tower"], "Eiffel")
    (0.0, 0.6666666666666666)
    >>> best_scores([], "")
    (1.0, 1.0)
    """
    found = normalized(predicted)
    wanted = [text for text in map(normalized, truths) if text] or [""]
    return (
        float(any(text == found for text in wanted)),
        max(_f1(text.split(), found.split()) for text in wanted),
    )


def _f1(truth: Sequence[str], predicted: Sequence[str]) -> float:
    if not truth or not predicted:
        return float(truth == predicted)
    common = sum((Counter(truth) & Counter(predicted)).values())
    return 2.0 * common / (len(truth) + len(predicted)) if common else 0.0
