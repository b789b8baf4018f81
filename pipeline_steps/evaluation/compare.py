"""Candidate against champion on the same rows: paired, because both saw the same examples."""

from __future__ import annotations

import math

import numpy as np

from pipeline_steps.errors import DataError
from pipeline_steps.evaluation.intervals import bias_corrected_interval, tango_interval
from pipeline_steps.evaluation.paired_tests import mcnemar_p, swap_p_values
from pipeline_steps.evaluation.reading import read_scored
from pipeline_steps.evaluation.scored import ScoredRows, point_metrics
from pipeline_steps.evaluation.uncertainty import bootstrap_metrics
from pipeline_steps.judging_params import EvaluateParams
from pipeline_steps.predictions_file import AnyTable
from pipeline_steps.types import PairedComparison, PairedDifference, Predictions


def compare(
    candidate: Predictions, champion: Predictions, params: EvaluateParams
) -> PairedComparison:
    """Return the paired differences of two checkpoints on one suite, candidate minus champion.

    Each carries the one-sided p-value of "the candidate is better" and a two-sided interval. A
    share of rows (accuracy): the exact McNemar test and Tango's score interval. The other metrics:
    a test by random swaps of the two outputs of a row, and bias-corrected paired bootstrap
    percentiles. A metric that is undefined for one of the two is left out.

    Raises
    ------
    DataError
        If the two files are not about the same rows.
    """
    ours, a = read_scored(candidate, params)
    theirs, b = read_scored(champion, params)
    _refuse_other_rows(candidate, champion, ours, theirs)
    wins, losses = discordant_rows(a, b)
    return PairedComparison(
        suite=candidate.suite,
        dataset_digest=candidate.dataset_digest,
        candidate_digest=candidate.checkpoint_digest,
        champion_digest=champion.checkpoint_digest,
        n=len(a),
        n_only_candidate_correct=wins,
        n_only_champion_correct=losses,
        differences=paired_differences(a, b, params),
        headline=a.headlines[0],
    )


def discordant_rows(candidate: ScoredRows, champion: ScoredRows) -> tuple[int, int]:
    """Return on how many rows only the candidate, and only the champion, is right."""
    ours, theirs = candidate.correct, champion.correct
    return int((ours & ~theirs).sum()), int((~ours & theirs).sum())


def paired_differences(
    candidate: ScoredRows, champion: ScoredRows, params: EvaluateParams
) -> tuple[PairedDifference, ...]:
    """Return the difference in each metric that is defined for both."""
    points, other = point_metrics(candidate), point_metrics(champion)
    names = [n for n in points if math.isfinite(points[n]) and math.isfinite(other[n])]
    gains = {n: (points[n] - other[n]) * (1 if candidate.directions[n] else -1) for n in names}
    p_values = swap_p_values(candidate, champion, gains, params.bootstrap_resamples, params.seed)
    p_value = mcnemar_p(*discordant_rows(candidate, champion))
    p_values.update(dict.fromkeys(candidate.shares, p_value))
    intervals = _intervals(candidate, champion, params)
    return tuple(
        PairedDifference(
            name=name,
            candidate=points[name],
            champion=other[name],
            difference=points[name] - other[name],
            ci_low=intervals[name][0],
            ci_high=intervals[name][1],
            p_value=p_values[name],
            n=len(candidate),
            greater_is_better=candidate.directions[name],
        )
        for name in names
    )


def _intervals(
    candidate: ScoredRows, champion: ScoredRows, params: EvaluateParams
) -> dict[str, tuple[float, float]]:
    """Return the interval of the difference in each metric."""
    # The same seed resamples the same rows on both sides: that is what makes it paired.
    ours = bootstrap_metrics(candidate, params.bootstrap_resamples, params.seed)
    theirs = bootstrap_metrics(champion, params.bootstrap_resamples, params.seed)
    points, other = point_metrics(candidate), point_metrics(champion)
    wins, losses = discordant_rows(candidate, champion)
    share = tango_interval(wins, losses, len(candidate), params.confidence)
    # Models that predict alike cannot differ in a resample; F1 is then as uncertain as accuracy.
    alike = candidate.answers_like(champion)
    computed = (*candidate.shares, *candidate.averages) if alike else candidate.shares
    intervals = dict.fromkeys(computed, share)
    for name in candidate.directions:
        resampled = ours[name] - theirs[name]
        resampled = resampled[~np.isnan(resampled)]  # a resample may hold no entity at all
        if name not in intervals and len(resampled) and np.isfinite(resampled).all():
            difference = points[name] - other[name]
            intervals[name] = bias_corrected_interval(difference, resampled, params.confidence)
    return intervals


def _refuse_other_rows(
    candidate: Predictions, champion: Predictions, ours: AnyTable, theirs: AnyTable
) -> None:
    same = (
        candidate.dataset_digest == champion.dataset_digest
        and candidate.suite == champion.suite
        and np.array_equal(ours.example_ids, theirs.example_ids)
        and np.array_equal(ours.truth, theirs.truth)
    )
    if not same:
        raise DataError(
            f"{candidate.path.name} and {champion.path.name} are about different rows",
            expected="two checkpoints predicted on the same version of one dataset",
            fix="predict the champion again on the candidate's dataset (the train flow does)",
        )
