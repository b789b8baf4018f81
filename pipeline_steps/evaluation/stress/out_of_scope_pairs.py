"""Candidate against champion in telling rows in scope from rows out of scope, on the same rows."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np
from scipy.stats import rankdata

from pipeline_steps.comparison_types import PairedComparison, PairedDifference
from pipeline_steps.errors import DataError
from pipeline_steps.evaluation.compare import read_from
from pipeline_steps.evaluation.intervals import two_sided_z
from pipeline_steps.evaluation.outcomes import in_id_order
from pipeline_steps.evaluation.stress.detection import SCORES
from pipeline_steps.evaluation.stress.out_of_scope import HEADLINES, logit_table
from pipeline_steps.judging_params import EvaluateParams
from pipeline_steps.types import Predictions

Array = np.ndarray[Any, Any]
Pair = tuple[Predictions, Predictions]
_NORMAL = NormalDist()


def compare_out_of_scope(
    candidate: Pair, champion: Pair, params: EvaluateParams
) -> PairedComparison:
    """Return the paired differences in the AUROC of each score, candidate minus champion.

    Each carries DeLong's interval and one-sided p-values; n is the number of rows out of scope.

    Parameters
    ----------
    candidate, champion : tuple of Predictions
        Of the clean test rows, and of the suite out of scope.
    params : EvaluateParams
        Confidence of the intervals.

    Raises
    ------
    DataError
        If the two are not about the same rows, or their answers have no logits.

    References
    ----------
    DeLong, DeLong and Clarke-Pearson (1988), "Comparing the areas under two or more correlated
    receiver operating characteristic curves: a nonparametric approach", Biometrics 44, 837-845.
    """
    ours, theirs = ([in_id_order(logit_table(p)) for p in pair] for pair in (candidate, champion))
    for mine, other, a, b in zip(ours, theirs, candidate, champion, strict=True):
        if a.dataset_digest != b.dataset_digest or not np.array_equal(
            mine.example_ids, other.example_ids
        ):
            raise DataError(
                f"{a.path.name} and {b.path.name} are about different rows",
                expected="two checkpoints predicted on the same version of one dataset",
                fix="predict the champion again on the candidate's dataset (the train flow does)",
            )
    suite = candidate[1]
    return PairedComparison(
        suite=suite.suite,
        dataset_digest=suite.dataset_digest,
        candidate_digest=suite.checkpoint_digest,
        champion_digest=champion[1].checkpoint_digest,
        n=suite.n_examples,
        n_only_candidate_correct=0,
        n_only_champion_correct=0,
        differences=tuple(
            _difference(name, [t.logits for t in ours], [t.logits for t in theirs], params)
            for name in SCORES
        ),
        headline=HEADLINES[0],
        confidence=params.confidence,
        **read_from(suite, champion[1]),
    )


def delong(candidate: tuple[Array, Array], champion: tuple[Array, Array]) -> tuple[float, ...]:
    """Return both AUROCs and the standard error of their difference.

    Parameters
    ----------
    candidate, champion : tuple of ndarray (n,), (m,)
        Scores of the same rows in scope and of the same rows out of scope, higher for more in
        scope.
    """
    parts = [_components(*scores) for scores in (candidate, champion)]
    inside, outside = (parts[0][i] - parts[1][i] for i in (0, 1))
    variance = _variance(inside) + _variance(outside)
    return float(parts[0][0].mean()), float(parts[1][0].mean()), math.sqrt(variance)


def _components(inside: Array, outside: Array) -> tuple[Array, Array]:
    """Return for each row the share of rows of the other kind that it is told from (ties half)."""
    n, m = len(inside), len(outside)
    together = rankdata(np.concatenate([inside, outside]))
    above = (together[:n] - rankdata(inside)) / m
    below = 1.0 - (together[n:] - rankdata(outside)) / n
    return np.asarray(above), np.asarray(below)


def _variance(differences: Array) -> float:
    n = len(differences)
    return float(differences.var(ddof=1)) / n if n > 1 else math.inf


def _difference(
    name: str, ours: list[Array], theirs: list[Array], params: EvaluateParams
) -> PairedDifference:
    score = SCORES[name]
    mine, other, error = delong(
        (score(ours[0]), score(ours[1])), (score(theirs[0]), score(theirs[1]))
    )
    gap, half = mine - other, two_sided_z(params.confidence) * error
    z = gap / error if error > 0.0 else math.copysign(math.inf, gap) if gap else 0.0
    return PairedDifference(
        name=f"auroc_{name}",
        candidate=mine,
        champion=other,
        difference=gap,
        ci_low=gap - half,
        ci_high=gap + half,
        p_value=_NORMAL.cdf(-z),
        n=len(ours[1]),
        p_worse=_NORMAL.cdf(z),
    )
