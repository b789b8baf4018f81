"""What a model scores on average over the suites that are not the clean rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline_steps.digests import value_digest
from pipeline_steps.evaluation.intervals import (
    bias_corrected_interval,
    tango_interval,
    wilson_interval,
)
from pipeline_steps.evaluation.reading import ScoredSuite
from pipeline_steps.evaluation.scored import ScoredRows, point_metrics
from pipeline_steps.evaluation.stress.shift import clean_places, newcombe_interval
from pipeline_steps.evaluation.uncertainty import bootstrap_weights
from pipeline_steps.evaluation_types import (
    EvaluationReport,
    MetricValue,
    SuiteAverage,
)
from pipeline_steps.judging_params import EvaluateParams
from pipeline_steps.types import AVERAGED, SISTERS

Array = np.ndarray[Any, Any]
Ends = tuple[float, float]
OpenEnds = tuple[float | None, float | None]
SUITE = "average"
_STREAMS = 30_011
_ALIKE = 1e-12  # resamples are sums of floats


def average_report(
    suites: Sequence[ScoredSuite], params: EvaluateParams
) -> EvaluationReport | None:
    """Return the mean of the first metric over suites, each of the same weight, and its gap.

    There is one over all suites of noise, rewriting and shift, and where these are of several
    kinds one of each kind with two suites or more. ``None``: there are not two.

    The intervals are bias-corrected percentiles of resamples that keep together what belongs
    together: suites made of clean rows are resampled with them, row by row, so that a row that is
    hard in every suite counts as one row; suites of other rows are resampled on their own. ``n``
    is the number of different rows.

    Parameters
    ----------
    suites : sequence of ScoredSuite
        All suites of a model in scope, the clean rows among them.
    params : EvaluateParams
        Confidence, resamples and seed.
    """
    clean = next(suite for suite in suites if suite.predictions.kind == "clean")
    others = [suite for suite in suites if suite.predictions.kind in AVERAGED]
    if len(others) < 2:  # noqa: PLR2004 - the mean of one suite is that suite
        return None
    averages = tuple(_averages(clean, others, params))
    return EvaluationReport(
        checkpoint_digest=clean.predictions.checkpoint_digest,
        dataset_digest=value_digest([suite.predictions.dataset_digest for suite in suites]),
        predictions_digest=value_digest([suite.predictions.digest for suite in suites]),
        suite=SUITE,
        kind="average",
        n=averages[0].mean.n,
        metrics=tuple(metric for found in averages for metric in (found.mean, found.gap)),
        headlines=(averages[0].mean.name,),
        averages=averages,
    )


def _averages(
    clean: ScoredSuite, others: Sequence[ScoredSuite], params: EvaluateParams
) -> Iterator[SuiteAverage]:
    """Yield the average over all suites, then that over each kind where there are several kinds."""
    before, *resamples = _resampled(clean, others, params)
    drawn = list(zip(others, resamples, strict=True))
    yield _average("", clean, before, drawn, params)
    for kind in dict.fromkeys(suite.predictions.kind for suite in others):
        some = [pair for pair in drawn if pair[0].predictions.kind == kind]
        if 1 < len(some) < len(others):
            yield _average(f"_{kind}", clean, before, some, params)


def _average(
    ending: str,
    clean: ScoredSuite,
    before: Array,
    drawn: Sequence[tuple[ScoredSuite, Array]],
    params: EvaluateParams,
) -> SuiteAverage:
    """Return mean and gap over suites; ``before`` and ``drawn`` hold what resamples score."""
    suites = [suite for suite, _ in drawn]
    name, better = f"{_first(clean)}{ending}", clean.rows.directions[_first(clean)]
    found = _Mean.of(clean, suites)
    means = np.mean([resamples for _, resamples in drawn], axis=0)
    ends = _interval(found.value, means, found.ends, params.confidence)
    mean = _metric(name, found.value, found.n, ends, better=better)
    ends = _interval(found.gap, before - means, found.gap_ends, params.confidence)
    gap = _metric(f"{name}_gap", found.gap, found.n, ends, better=not better)
    return SuiteAverage(suites=tuple(s.predictions.suite for s in suites), mean=mean, gap=gap)


@dataclass(frozen=True)
class _Mean:
    """The mean over suites beside the clean rows, and its interval where resamples cannot differ.

    ``n``: different rows. ``paired``: all suites were made of the clean rows. ``as_share``: the
    metric is as uncertain as a share of rows where every row is right, or none.
    """

    value: float
    clean: float
    n: int
    n_clean: int
    paired: bool
    as_share: bool

    @classmethod
    def of(cls, clean: ScoredSuite, suites: Sequence[ScoredSuite]) -> _Mean:
        """Return what is known of suites before anything is resampled."""
        name, n_clean = _first(clean), len(clean.rows)
        apart = [len(s.rows) for s in suites if s.predictions.kind not in SISTERS]
        return cls(
            value=float(np.mean([point_metrics(suite.rows)[name] for suite in suites])),
            clean=point_metrics(clean.rows)[name],
            n=sum(apart) + (n_clean if len(apart) < len(suites) else 0),
            n_clean=n_clean,
            paired=not apart,
            as_share=name in (*clean.rows.shares, *clean.rows.averages),
        )

    @property
    def gap(self) -> float:
        """What is lost on average."""
        return self.clean - self.value

    def ends(self, confidence: float) -> Ends | None:
        """Return Wilson's interval of the mean as a share of its rows; ``None``: it is none."""
        if not self.as_share:
            return None
        return wilson_interval(self.value * self.n, self.n, confidence)

    def gap_ends(self, confidence: float) -> Ends | None:
        """Return the interval of the gap as one of shares: Tango's of pairs, else Newcombe's."""
        if not self.as_share:
            return None
        if self.paired:
            lost, won = (round(max(sign * self.gap, 0.0) * self.n) for sign in (1, -1))
            return tango_interval(lost, won, self.n, confidence)
        before = (round(self.clean * self.n_clean), self.n_clean)
        return newcombe_interval(before, (round(self.value * self.n), self.n), confidence)


def _interval(
    value: float, resampled: Array, as_shares: Callable[[float], Ends | None], confidence: float
) -> OpenEnds:
    """Return the interval of a value; that of shares where no resample differs from the next."""
    found = resampled[np.isfinite(resampled)]
    if not math.isfinite(value) or not len(found):
        return None, None
    alike = as_shares(confidence) if np.ptp(found) < _ALIKE else None
    return alike or bias_corrected_interval(value, found, confidence)


def _metric(name: str, value: float, n: int, ends: OpenEnds, *, better: bool) -> MetricValue:
    known = value if math.isfinite(value) else None
    low, high = ends
    return MetricValue(
        name=name, value=known, n=n, ci_low=low, ci_high=high, greater_is_better=better
    )


def _resampled(
    clean: ScoredSuite, others: Sequence[ScoredSuite], params: EvaluateParams
) -> list[Array]:
    """Return the first metric of the clean rows and of each suite, each (resamples,)."""
    ids, name = clean.table.example_ids, _first(clean)
    own = list(bootstrap_weights(len(clean.rows), params.bootstrap_resamples, params.seed))
    found = [_weighted(clean.rows, own, name)]
    for number, suite in enumerate(others, 1):
        sister = suite.predictions.kind in SISTERS
        places = clean_places(ids, suite.table.example_ids) if sister else None
        if places is None:
            seed = params.seed + _STREAMS * number
            weights = bootstrap_weights(len(suite.rows), params.bootstrap_resamples, seed)
        else:
            weights = (some[:, places] for some in own)
        found.append(_weighted(suite.rows, weights, name))
    return found


def _weighted(rows: ScoredRows, weights: Iterable[Array], name: str) -> Array:
    """Return one metric under weights; a share of rows needs no other metric computed."""
    if name in rows.shares:
        return np.concatenate([some @ rows.correct / some.sum(axis=1) for some in weights])
    return np.concatenate([rows.weighted(some)[name] for some in weights])


def _first(suite: ScoredSuite) -> str:
    return suite.rows.headlines[0]
