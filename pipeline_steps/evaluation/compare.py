"""Candidate against champion on the same rows: paired, because both saw the same examples."""

from __future__ import annotations

import numpy as np

from pipeline_steps.errors import DataError
from pipeline_steps.evaluation.outcomes import Outcomes, outcomes
from pipeline_steps.evaluation.uncertainty import (
    GREATER_IS_BETTER,
    bootstrap_metrics,
    percentile_interval,
    point_metrics,
)
from pipeline_steps.params import EvaluateParams
from pipeline_steps.predictions_file import PredictionTable, read_predictions
from pipeline_steps.types import PairedComparison, PairedDifference, Predictions


def compare(
    candidate: Predictions, champion: Predictions, params: EvaluateParams
) -> PairedComparison:
    """Return the paired differences of two checkpoints on one suite.

    Accuracy carries the one-sided exact McNemar p-value (McNemar 1947) of "the candidate is
    better"; the other metrics carry the share of paired bootstrap resamples in which it is not.

    Raises
    ------
    DataError
        If the two files are not about the same rows in the same order.
    """
    ours, theirs = read_predictions(candidate), read_predictions(champion)
    _refuse_other_rows(candidate, champion, ours, theirs)
    a = outcomes(ours, params.calibration_bins)
    b = outcomes(theirs, params.calibration_bins)
    only_candidate = int((a.correct & ~b.correct).sum())
    only_champion = int((~a.correct & b.correct).sum())
    return PairedComparison(
        suite=candidate.suite,
        dataset_digest=candidate.dataset_digest,
        candidate_digest=candidate.checkpoint_digest,
        champion_digest=champion.checkpoint_digest,
        n=len(a),
        n_only_candidate_correct=only_candidate,
        n_only_champion_correct=only_champion,
        differences=_differences(a, b, params, mcnemar_p(only_candidate, only_champion)),
    )


def mcnemar_p(only_candidate: int, only_champion: int) -> float:
    """Return the exact one-sided p-value that the candidate is right more often (McNemar 1947).

    Among the rows on which exactly one of the two is right, the candidate's share is 1/2 under
    the null hypothesis.

    Examples
    --------
    >>> mcnemar_p(0, 0)
    1.0
    >>> round(mcnemar_p(9, 1), 4)
    0.0107
    """
    from scipy.stats import binomtest

    discordant = only_candidate + only_champion
    if not discordant:
        return 1.0
    return float(binomtest(only_candidate, discordant, 0.5, alternative="greater").pvalue)


def _differences(
    a: Outcomes, b: Outcomes, params: EvaluateParams, accuracy_p: float
) -> tuple[PairedDifference, ...]:
    # The same seed resamples the same rows on both sides: that is what makes it paired.
    ours = bootstrap_metrics(a, params.bootstrap_resamples, params.seed)
    theirs = bootstrap_metrics(b, params.bootstrap_resamples, params.seed)
    points, champion_points = point_metrics(a), point_metrics(b)
    differences = []
    for name, better in GREATER_IS_BETTER.items():
        if not (np.isfinite(points[name]) and np.isfinite(champion_points[name])):
            continue
        resampled = ours[name] - theirs[name]
        low, high = percentile_interval(resampled, params.confidence)
        not_better = resampled <= 0 if better else resampled >= 0
        bootstrap_p = (1 + int(not_better.sum())) / (1 + len(resampled))
        differences.append(
            PairedDifference(
                name=name,
                candidate=points[name],
                champion=champion_points[name],
                difference=points[name] - champion_points[name],
                ci_low=low,
                ci_high=high,
                p_value=accuracy_p if name in ("accuracy", "micro_f1") else bootstrap_p,
                n=len(a),
                greater_is_better=better,
            )
        )
    return tuple(differences)


def _refuse_other_rows(
    candidate: Predictions, champion: Predictions, ours: PredictionTable, theirs: PredictionTable
) -> None:
    same = (
        candidate.dataset_digest == champion.dataset_digest
        and np.array_equal(ours.example_ids, theirs.example_ids)
        and np.array_equal(ours.truth, theirs.truth)
    )
    if not same:
        raise DataError(
            f"{candidate.path.name} and {champion.path.name} are about different rows",
            expected="two checkpoints predicted on the same version of one dataset",
            fix="predict the champion again on the candidate's dataset (the train flow does)",
        )
