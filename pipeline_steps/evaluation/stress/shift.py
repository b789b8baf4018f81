"""How much is lost on a suite against the clean test set, with the interval of the loss."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pipeline_steps.evaluation.answers import AnsweredRows
from pipeline_steps.evaluation.intervals import (
    bias_corrected_interval,
    tango_interval,
    wilson_interval,
)
from pipeline_steps.evaluation.outcomes import Outcomes
from pipeline_steps.evaluation.scored import point_metrics
from pipeline_steps.evaluation.uncertainty import bootstrap_metrics
from pipeline_steps.evaluation_types import MetricValue
from pipeline_steps.judging_params import EvaluateParams
from pipeline_steps.predictions_file import AnyTable

Array = np.ndarray[Any, Any]
Scored = Outcomes | AnsweredRows
_OTHER_STREAM = 20_011


def gap_metrics(
    clean: tuple[AnyTable, Scored],
    suite: tuple[AnyTable, Scored],
    params: EvaluateParams,
    *,
    sisters: bool,
) -> tuple[MetricValue, ...]:
    """Return ``<metric>_gap`` of the headline metrics: clean minus suite, 0 is no loss.

    Sisters are compared pair by pair with their clean rows, which have the same ids: Tango's
    interval for a share of rows, paired bootstrap for the rest. Else the two are other rows:
    Newcombe's interval, and two bootstraps of their own. Where no resample differs from the next,
    the interval of the shares of right rows stands for that of an average. A metric that is
    undefined on one side is undefined here.

    Parameters
    ----------
    clean, suite : tuple of table and scored rows
        In the order of their ids, as :func:`read_scored` returns them.
    params : EvaluateParams
        Confidence, resamples and seed.
    sisters : bool
        Whether the rows of the suite were made of clean ones. The ids alone do not say so: rows
        of another file may be numbered alike.

    References
    ----------
    Tango (1998), Statistics in Medicine 17, 891-908; Newcombe (1998), "Interval estimation for the
    difference between independent proportions", Statistics in Medicine 17, 873-890, method 10.
    """
    pairs = clean_places(clean[0].example_ids, suite[0].example_ids) if sisters else None
    before = clean[1] if pairs is None else clean[1].take(pairs)
    return tuple(
        _gap(name, before, suite[1], params, paired=pairs is not None)
        for name in suite[1].headlines
        if name in before.directions
    )


def clean_places(clean: Array, suite: Array) -> Array | None:
    """Return the clean row of each row of a suite, or ``None`` where one has none."""
    places = {example_id: place for place, example_id in enumerate(clean)}
    found = [places.get(example_id, -1) for example_id in suite]
    return None if min(found) < 0 else np.array(found)


def newcombe_interval(
    first: tuple[int, int], second: tuple[int, int], confidence: float
) -> tuple[float, float]:
    """Return the interval of a difference of two shares of other rows, each (hits, n).

    Examples
    --------
    >>> low, high = newcombe_interval((56, 70), (48, 80), 0.95)  # Newcombe 1998, table II (a)
    >>> round(low, 4), round(high, 4)
    (0.0524, 0.3339)
    """
    shares = [hits / n for hits, n in (first, second)]
    (low_a, high_a), (low_b, high_b) = (
        wilson_interval(hits, n, confidence) for hits, n in (first, second)
    )
    gap = shares[0] - shares[1]
    below = math.hypot(shares[0] - low_a, high_b - shares[1])
    above = math.hypot(high_a - shares[0], shares[1] - low_b)
    return gap - below, gap + above


def _gap(
    name: str, clean: Scored, suite: Scored, params: EvaluateParams, *, paired: bool
) -> MetricValue:
    before, after = (point_metrics(rows)[name] for rows in (clean, suite))
    gap: float | None = before - after
    low = high = None
    if not math.isfinite(before - after):
        gap = None
    elif name in suite.shares:
        low, high = _gap_of_shares(clean, suite, params.confidence, paired=paired)
    else:
        resampled = _resampled_gaps(name, clean, suite, params, paired=paired)
        if name in suite.averages and len(set(resampled.tolist())) == 1:
            # Answers that are alike cannot differ in a resample: F1 is as uncertain as accuracy.
            low, high = _gap_of_shares(clean, suite, params.confidence, paired=paired)
        elif len(resampled):
            low, high = bias_corrected_interval(before - after, resampled, params.confidence)
    return MetricValue(
        name=f"{name}_gap",
        value=gap,
        n=len(suite),
        ci_low=low,
        ci_high=high,
        greater_is_better=not suite.directions[name],
    )


def _gap_of_shares(
    clean: Scored, suite: Scored, confidence: float, *, paired: bool
) -> tuple[float, float]:
    if not paired:
        counts = [(int(rows.correct.sum()), len(rows)) for rows in (clean, suite)]
        return newcombe_interval(counts[0], counts[1], confidence)
    lost = int((clean.correct & ~suite.correct).sum())
    won = int((~clean.correct & suite.correct).sum())
    return tango_interval(lost, won, len(suite), confidence)


def _resampled_gaps(
    name: str, clean: Scored, suite: Scored, params: EvaluateParams, *, paired: bool
) -> Array:
    """Return finite gaps of resamples; pairs are drawn together, other rows on their own."""
    seed = params.seed if paired else params.seed + _OTHER_STREAM
    before = bootstrap_metrics(clean, params.bootstrap_resamples, params.seed)[name]
    gaps = before - bootstrap_metrics(suite, params.bootstrap_resamples, seed)[name]
    return np.asarray(gaps[np.isfinite(gaps)])
