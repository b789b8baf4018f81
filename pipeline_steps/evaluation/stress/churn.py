"""What changes for users when one version takes the place of another: churn on the same rows."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from pipeline_steps.comparison_types import Churn, LabelChurn
from pipeline_steps.evaluation.answers import AnsweredRows
from pipeline_steps.evaluation.intervals import wilson_interval
from pipeline_steps.evaluation.outcomes import Outcomes
from pipeline_steps.evaluation_types import MetricValue

Array = np.ndarray[Any, Any]
_TOP = 20


def churn(
    candidate: Outcomes | AnsweredRows, champion: Outcomes | AnsweredRows, confidence: float
) -> Churn:
    """Return how many answers differ between two versions on the same rows, and which.

    ``churn`` counts every answer that differs, ``negative_flips`` the rows that only the champion
    had right (regressions), ``positive_flips`` those that only the candidate has right. All are
    shares of the same rows with Wilson intervals; the net of both flips, with Tango's interval,
    is the paired difference in accuracy. By label, where an answer is one label: the rows whose
    truth it is, how many of them changed their answer, and how many for the worse.

    Parameters
    ----------
    candidate, champion : Outcomes or AnsweredRows
        The same rows in the same order.
    confidence : float
        Coverage of the intervals.

    References
    ----------
    Milani Fard et al. (2016), "Launch and iterate: reducing prediction churn", NIPS (churn); Yan
    et al. (2021), "Positive-congruent training: towards regression-free model updates", CVPR
    (negative flips).
    """
    n, old, new = len(candidate), champion.correct, candidate.correct
    ours, theirs = _answers(candidate), _answers(champion)
    differs = ours != theirs

    def share(name: str, rows: Array, *, better: bool = False) -> MetricValue:
        hits = int(rows.sum())
        low, high = wilson_interval(hits, n, confidence)
        return MetricValue(
            name=name, value=hits / n, n=n, ci_low=low, ci_high=high, greater_is_better=better
        )

    truth = _names(candidate, candidate.truth) if isinstance(candidate, Outcomes) else None
    return Churn(
        n=n,
        churn=share("churn", differs),
        negative_flips=share("negative_flips", old & ~new),
        positive_flips=share("positive_flips", ~old & new, better=True),
        n_both_right=int((old & new).sum()),
        n_both_wrong=int((~old & ~new).sum()),
        n_both_wrong_differently=int((~old & ~new & differs).sum()),
        labels=() if truth is None else _by_label(truth, differs, old & ~new),
        flips=() if truth is None else _flips(theirs[differs], ours[differs]),
    )


def _answers(rows: Outcomes | AnsweredRows) -> Array:
    return _names(rows, rows.predicted) if isinstance(rows, Outcomes) else rows.predicted


def _names(rows: Outcomes, places: Array) -> Array:
    return np.array(rows.labels, dtype=object)[places]


def _by_label(truth: Array, differs: Array, lost: Array) -> tuple[LabelChurn, ...]:
    """Return the labels with a changed answer, the most regressions first."""
    rows, changed, worse = (Counter(part) for part in (truth, truth[differs], truth[lost]))
    order = sorted(changed, key=lambda label: (-worse[label], -changed[label], label))
    return tuple(
        LabelChurn(label=label, n=rows[label], n_changed=changed[label], n_lost=worse[label])
        for label in order
    )


def _flips(before: Array, after: Array) -> tuple[tuple[str, str, int], ...]:
    """Return (champion's answer, candidate's answer, rows), the most frequent first."""
    counts = Counter(zip(before.tolist(), after.tolist(), strict=True))
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple((old, new, n) for (old, new), n in ranked[:_TOP])
