"""Candidate against champion on the same rows: paired, because both saw the same examples."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pipeline_steps.comparison_types import PairedComparison, PairedDifference
from pipeline_steps.errors import DataError
from pipeline_steps.evaluation.intervals import bias_corrected_interval, tango_interval
from pipeline_steps.evaluation.paired_slices import paired_slices
from pipeline_steps.evaluation.paired_tests import Swaps, mcnemar_p, swap_tests
from pipeline_steps.evaluation.reading import read_scored, sliced_columns
from pipeline_steps.evaluation.scored import ScoredRows, point_metrics
from pipeline_steps.evaluation.slices import left_out_slices
from pipeline_steps.evaluation.stress.churn import churn
from pipeline_steps.evaluation.stress.text_marks import TextMarks
from pipeline_steps.evaluation.uncertainty import bootstrap_metrics
from pipeline_steps.evaluation.worst_group import worst_group_difference
from pipeline_steps.judging_params import EvaluateParams
from pipeline_steps.predictions_file import AnyTable
from pipeline_steps.types import Predictions


def compare(
    candidate: Predictions,
    champion: Predictions,
    params: EvaluateParams,
    marks: TextMarks | None = None,
) -> PairedComparison:
    """Return the paired differences of two checkpoints on one suite, candidate minus champion.

    Each carries the one-sided p-values of "the candidate is better" and "it is worse", and a
    two-sided interval. The first headline metric is also compared on every slice, and where each of
    the two is worst. A
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
    columns = sliced_columns(ours, candidate.suite, params, marks)
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
        churn=churn(a, b, params.confidence),
        slices=paired_slices(a, b, columns, params, paired_differences),
        worst_group=worst_group_difference(a, b, columns, params, _intervals),
        left_out=left_out_slices(columns, params),
        confidence=params.confidence,
        **read_from(candidate, champion),
    )


def read_from(candidate: Predictions, champion: Predictions) -> dict[str, str]:
    """Return which predictions a comparison was read from, and the code that made them."""
    return {
        "candidate_predictions": candidate.digest,
        "champion_predictions": champion.digest,
        "candidate_code": candidate.code,
        "champion_code": champion.code,
    }


def discordant_rows(candidate: ScoredRows, champion: ScoredRows) -> tuple[int, int]:
    """Return on how many rows only the candidate, and only the champion, is right."""
    ours, theirs = candidate.correct, champion.correct
    return int((ours & ~theirs).sum()), int((~ours & theirs).sum())


def paired_differences(
    candidate: ScoredRows,
    champion: ScoredRows,
    params: EvaluateParams,
    asked: Sequence[str] | None = None,
) -> tuple[PairedDifference, ...]:
    """Return the difference in each metric (or those asked for) that is defined for both."""
    points, other = point_metrics(candidate), point_metrics(champion)
    names = [n for n in asked or points if math.isfinite(points[n]) and math.isfinite(other[n])]
    gains = {n: (points[n] - other[n]) * (1 if candidate.directions[n] else -1) for n in names}
    # Of some metrics, which are those of a slice, only harm is asked.
    swaps = Swaps(params.bootstrap_resamples, params.max_swaps, params.seed, better=not asked)
    p_values = _p_values(candidate, champion, gains, swaps)
    intervals = _intervals(candidate, champion, params, names)
    return tuple(
        PairedDifference(
            name=name,
            candidate=points[name],
            champion=other[name],
            difference=points[name] - other[name],
            ci_low=intervals[name][0],
            ci_high=intervals[name][1],
            p_value=p_values[name][0],
            n=len(candidate),
            greater_is_better=candidate.directions[name],
            p_worse=p_values[name][1],
            resolution=0.0 if name in candidate.shares else swaps.resolution,
        )
        for name in names
    )


def _p_values(
    candidate: ScoredRows, champion: ScoredRows, gains: dict[str, float], swaps: Swaps
) -> dict[str, tuple[float, float]]:
    """Return the p-values of "better" and "worse"; shares of rows need no swaps."""
    wins, losses = discordant_rows(candidate, champion)
    exact = mcnemar_p(wins, losses), mcnemar_p(losses, wins)
    found = dict.fromkeys(candidate.shares, exact)
    rest = {name: gain for name, gain in gains.items() if name not in found}
    if rest:
        found |= swap_tests(candidate, champion, rest, swaps)
    return found


def _intervals(
    candidate: ScoredRows, champion: ScoredRows, params: EvaluateParams, names: Sequence[str]
) -> dict[str, tuple[float, float]]:
    """Return the interval of the difference in each metric, at least of the named ones."""
    if set(names) <= set(candidate.shares):  # they need no resamples
        wins, losses = discordant_rows(candidate, champion)
        exact = tango_interval(wins, losses, len(candidate), params.confidence)
        return dict.fromkeys(names, exact)
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
    for name in names:
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
