"""One recipe, k seeds: how much of a difference is luck of the seed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from pipeline_steps.digests import value_digest
from pipeline_steps.errors import DataError
from pipeline_steps.evaluation.answers import AnsweredRows
from pipeline_steps.evaluation.intervals import wilson_interval
from pipeline_steps.evaluation.outcomes import Outcomes
from pipeline_steps.evaluation.reading import read_scored
from pipeline_steps.evaluation.scored import point_metrics
from pipeline_steps.evaluation_types import EvaluationReport, MetricValue
from pipeline_steps.finding_types import SeedSpread
from pipeline_steps.judging_params import EvaluateParams
from pipeline_steps.types import Predictions

Array = np.ndarray[Any, Any]
Scored = Outcomes | AnsweredRows
_FEWEST = 2


def seed_report(runs: Sequence[Predictions], params: EvaluateParams) -> EvaluationReport:
    """Return the spread of every metric over runs that differ in the seed alone.

    Of each metric: ``_mean`` with Student's interval, ``_std`` (ddof 1) with the chi-squared one,
    and ``_worst_seed`` (no interval: an extreme of k runs has none that k runs could give).
    ``disagreement`` is the mean over pairs of runs of the share of rows answered otherwise.
    ``failed_runs`` is the share of runs not above the accuracy of always giving the commonest
    truth (Mosbach et al. 2021), with Wilson's interval; a failed run stays in the spread, because
    it is part of what a seed may bring. n is the number of runs.

    The intervals take the runs as draws from one normal law; with few runs they are wide, and a
    run that failed breaks the law. Runs of one score have none: they are fewer than would differ.

    Raises
    ------
    DataError
        If there are fewer than two runs, the same run twice, or runs on other rows.

    References
    ----------
    Mosbach, Andriushchenko and Klakow (2021), "On the stability of fine-tuning BERT", ICLR;
    Madhyastha and Jain (2019), "On model stability as a function of random seed", CoNLL.
    """
    scored = [read_scored(run, params)[1] for run in _refuse_no_sample(runs)]
    points = [point_metrics(rows) for rows in scored]
    metrics = [
        metric
        for name, better in scored[0].directions.items()
        for metric in _spread(name, np.array([p[name] for p in points]), params, better=better)
    ]
    metrics += [_failed(scored, params.confidence), _disagreement(scored)]
    return EvaluationReport(
        checkpoint_digest=value_digest(sorted(run.checkpoint_digest for run in runs)),
        dataset_digest=runs[0].dataset_digest,
        predictions_digest=value_digest(sorted(run.digest for run in runs)),
        suite=f"{runs[0].suite}_seeds",
        kind="seeds",
        n=len(runs),
        metrics=tuple(metrics),
        headlines=tuple(f"{name}_mean" for name in scored[0].headlines),
    )


def spread_of_runs(found: Mapping[str, Any], confidence: float) -> SeedSpread | None:
    """Return the validation scores of a checkpoint's several seeds, from its ``training["runs"]``.

    ``None`` where fewer than two came to an end. Mean and deviation as in :func:`seed_report`; the
    seeds were compared on the valid rows, which also chose among them.
    """
    known = [score for score in found["scores"] if score is not None]
    if len(known) < _FEWEST:
        return None
    params = EvaluateParams(confidence=confidence)
    mean, deviation, _ = _spread(found["metric"], np.array(known), params, better=True)
    return SeedSpread(
        metric=found["metric"],
        seeds=tuple(found["seeds"]),
        scores=tuple(found["scores"]),
        failed=tuple(found["failed"]),
        chosen=tuple(found["chosen"]),
        combine=found["combine"],
        baseline=found["baseline"],
        mean=mean,
        deviation=deviation,
    )


def noise_floor(report: EvaluationReport) -> Mapping[str, float]:
    """Return ``suite/metric`` -> standard deviation over seeds: what a gate may not call a gain.

    A difference between two single runs varies with the square root of 2 times this.
    """
    suite = report.suite.removesuffix("_seeds")
    return {
        f"{suite}/{metric.name.removesuffix('_std')}": metric.value
        for metric in report.metrics
        if metric.name.endswith("_std") and metric.value is not None
    }


def _spread(
    name: str, values: Array, params: EvaluateParams, *, better: bool
) -> tuple[MetricValue, ...]:
    """Return mean, standard deviation and worst value over the runs."""
    k = len(values)
    named: list[tuple[str, float | None, float | None, float | None]]
    if not np.isfinite(values).all():
        named = [(f"{name}_{what}", None, None, None) for what in ("mean", "std", "worst_seed")]
    else:
        mean, deviation = float(values.mean()), float(values.std(ddof=1))
        tail = (1.0 - params.confidence) / 2.0
        half = float(stats.t.ppf(1.0 - tail, k - 1)) * deviation / math.sqrt(k)
        low, high = (
            deviation * math.sqrt((k - 1) / float(stats.chi2.ppf(share, k - 1)))
            for share in (1.0 - tail, tail)
        )
        worst = float(values.min() if better else values.max())
        known = deviation > 0.0  # runs that are all alike tell no spread
        # Scores lie in [0, 1], losses are not below 0.
        least, most = max(0.0, mean - half), min(1.0, mean + half) if better else mean + half
        named = [
            (f"{name}_mean", mean, least if known else None, most if known else None),
            (f"{name}_std", deviation, low if known else None, high if known else None),
            (f"{name}_worst_seed", worst, None, None),
        ]
    return tuple(
        MetricValue(
            name=full,
            value=value,
            n=k,
            ci_low=low,
            ci_high=high,
            greater_is_better=better and not full.endswith("_std"),
        )
        for full, value, low, high in named
    )


def _failed(scored: Sequence[Scored], confidence: float) -> MetricValue:
    """Return the share of runs that are not better than the commonest truth."""
    _, counts = np.unique(scored[0].truth, return_counts=True)
    chance = int(counts.max())
    failed, k = sum(int(rows.correct.sum()) <= chance for rows in scored), len(scored)
    low, high = wilson_interval(failed, k, confidence)
    return MetricValue(
        name="failed_runs", value=failed / k, n=k, ci_low=low, ci_high=high,
        greater_is_better=False,
    )  # fmt: skip


def _disagreement(scored: Sequence[Scored]) -> MetricValue:
    """Return the mean share of rows that two runs answer otherwise; pairs share their runs."""
    answers = [
        np.array(rows.labels, dtype=object)[rows.predicted]
        if isinstance(rows, Outcomes)
        else rows.predicted
        for rows in scored
    ]
    shares = [float((a != b).mean()) for a, b in itertools.combinations(answers, 2)]
    return MetricValue(
        name="disagreement", value=float(np.mean(shares)), n=len(scored), greater_is_better=False
    )


def _refuse_no_sample(runs: Sequence[Predictions]) -> Sequence[Predictions]:
    checkpoints = {run.checkpoint_digest for run in runs}
    if len(runs) < _FEWEST or len(checkpoints) < len(runs):
        raise DataError(
            f"{len(runs)} predictions of {len(checkpoints)} different checkpoints",
            expected="at least two runs of one recipe, each with a seed of its own",
            fix="train the same parameters with other values of finetune.seed",
        )
    if len({(run.dataset_digest, run.suite) for run in runs}) > 1:
        raise DataError(
            "runs that were predicted on different rows",
            expected="predictions of one suite by all runs",
            fix="predict the same suite with every run",
        )
    return runs
