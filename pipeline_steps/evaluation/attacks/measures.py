"""What attack results say beside the accuracy under attack, each with n and interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline_steps.attack_types import AttackResult
from pipeline_steps.evaluation.intervals import bias_corrected_interval, wilson_interval
from pipeline_steps.evaluation.uncertainty import bootstrap_weights
from pipeline_steps.evaluation_types import MetricValue
from pipeline_steps.judging_params import EvaluateParams

_FEWEST = 2


def attack_metrics(
    results: Sequence[AttackResult], params: EvaluateParams
) -> tuple[MetricValue, ...]:
    """Return what an attack cost and changed; the accuracy under it is a metric of predictions.

    ``attack_success_rate`` is of the rows that were answered rightly before: it flatters a model
    that is right on fewer, easier rows, so compare models by their accuracy under attack.
    ``verified_unbroken`` is the share of all rows for which every allowed change was tried, and
    ``unchangeable`` that of the rows that were searched for which there was none to try: these hold
    whatever the model. ``mean_queries`` are of rows that were searched, ``changed_words`` the mean
    share of words that differ in broken rows, ``similarity`` the mean cosine of their texts'
    vectors before and after.
    """
    searched = [result for result in results if result.status != "wrong"]
    broken = [result for result in searched if result.status == "broken"]
    proven = sum(result.status == "unbroken" for result in results)
    idle = sum(result.unchangeable for result in searched)
    changed = [result.n_changed / result.n_words for result in broken if result.n_words]
    return (
        _share("attack_success_rate", len(broken), len(searched), params, better=False),
        _share("verified_unbroken", proven, len(results), params, better=True),
        _share("unchangeable", idle, len(searched), params, better=False),
        _mean("mean_queries", [float(result.n_queries) for result in searched], params),
        _mean("changed_words", changed, params),
        _mean("similarity", [r.similarity for r in broken if r.similarity is not None], params),
    )


def held(results: Sequence[AttackResult], name: str, confidence: float) -> MetricValue:
    """Return the share of all rows that are right before and under an attack."""
    return _counted(name, results, ("unknown", "unbroken"), confidence)


def clean(results: Sequence[AttackResult], confidence: float) -> MetricValue:
    """Return the share of the same rows that are right before the attack."""
    return _counted("clean", results, ("unknown", "unbroken", "broken"), confidence)


def _counted(
    name: str, results: Sequence[AttackResult], statuses: Sequence[str], confidence: float
) -> MetricValue:
    n = len(results)
    hits = sum(result.status in statuses for result in results)
    if not n:
        return MetricValue(name=name, value=None, n=0)
    low, high = wilson_interval(hits, n, confidence)
    return MetricValue(name=name, value=hits / n, n=n, ci_low=low, ci_high=high)


def _share(name: str, hits: int, n: int, params: EvaluateParams, *, better: bool) -> MetricValue:
    if not n:
        return MetricValue(name=name, value=None, n=0, greater_is_better=better)
    low, high = wilson_interval(hits, n, params.confidence)
    return MetricValue(
        name=name, value=hits / n, n=n, ci_low=low, ci_high=high, greater_is_better=better
    )


def _mean(name: str, values: Sequence[float], params: EvaluateParams) -> MetricValue:
    """Return a mean with its bootstrap interval; the more an attacker needs, the better.

    One row alone, or rows that are all alike, say nothing of how others differ: no interval.
    """
    if len(set(values)) < _FEWEST:
        return MetricValue(name=name, value=values[0] if values else None, n=len(values))
    found = np.array(values)
    weights = np.concatenate(
        list(bootstrap_weights(len(found), params.bootstrap_resamples, params.seed))
    )
    mean = float(found.mean())
    low, high = bias_corrected_interval(mean, weights @ found / len(found), params.confidence)
    return MetricValue(name=name, value=mean, n=len(found), ci_low=low, ci_high=high)
