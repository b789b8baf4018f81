"""Effective robustness: steadier under shift than the clean accuracy foretells, or not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats
from scipy.special import expit, logit

from pipeline_steps.errors import DataError
from pipeline_steps.evaluation_types import EvaluationReport, MetricValue
from pipeline_steps.finding_types import RobustnessLine
from pipeline_steps.types import SISTERS

_FEWEST = 3
_DRAWN = 25


def effective_robustness(
    version: tuple[float, float],
    others: Sequence[tuple[float, float]],
    *,
    n: int,
    confidence: float = 0.95,
) -> MetricValue:
    """Return the accuracy under shift above what a line through other versions foretells.

    The line is fitted by least squares to the logits of both accuracies; the interval is the
    prediction interval of that line, so with three versions it is very wide. It says nothing of
    the rows that the accuracies rest on.

    Parameters
    ----------
    version : tuple of float
        Clean accuracy and accuracy under shift.
    others : sequence of tuple of float
        The same of at least three other versions, with different clean accuracies.
    n : int
        Rows of the shift suite, to be shown.
    confidence : float
        Coverage of the interval.

    Raises
    ------
    DataError
        If there are fewer than three other versions, their clean accuracies are equal, or an
        accuracy is 0 or 1 (its logit is infinite).

    References
    ----------
    Taori et al. (2020), "Measuring robustness to natural distribution shifts in image
    classification", NeurIPS, section 2.
    """
    _refuse_what_has_no_line(version, others)
    x, y = logit(np.array(others, dtype=np.float64)).T
    line = stats.linregress(x, y)
    at = float(logit(version[0]))
    foretold = float(line.slope * at + line.intercept)
    rest = y - (line.slope * x + line.intercept)
    k, spread = len(x), float(((x - x.mean()) ** 2).sum())
    scale = float((rest**2).sum()) / (k - 2) * (1 + 1 / k + (at - x.mean()) ** 2 / spread)
    half = float(stats.t.ppf((1 + confidence) / 2, k - 2)) * np.sqrt(scale)
    low, value, high = (float(version[1] - expit(foretold + step)) for step in (half, 0.0, -half))
    return MetricValue(name="effective_robustness", value=value, n=n, ci_low=low, ci_high=high)


def robustness_lines(
    reports: Sequence[EvaluationReport],
    others: Sequence[Sequence[EvaluationReport]],
    confidence: float,
) -> tuple[RobustnessLine, ...]:
    """Return a version beside the line of others, for each suite of noise or shift.

    A suite is left out where fewer than three others were judged on the same rows with an accuracy
    strictly between 0 and 1, their clean accuracies are all equal, or this version has none such.

    Parameters
    ----------
    reports : sequence of EvaluationReport
        Of the version.
    others : sequence of sequence of EvaluationReport
        Of every other version.
    confidence : float
        Coverage of the intervals.
    """
    clean = next((report for report in reports if report.kind == "clean"), None)
    suites = [report for report in reports if report.kind in (*SISTERS, "shift")]
    found = []
    if clean is None:
        return ()
    for suite in suites:
        version, *points = [_point(several, clean, suite) for several in (reports, *others)]
        known = tuple(sorted({point for point in points if point is not None}))
        if version is None or len(known) < _FEWEST or known[0][0] == known[-1][0]:
            continue
        above = effective_robustness(version, known, n=suite.n, confidence=confidence)
        found.append(
            RobustnessLine(
                suite=suite.suite,
                version=version,
                others=known,
                line=fitted_line(known, version[0]),
                above=above,
            )
        )
    return tuple(found)


def fitted_line(
    others: Sequence[tuple[float, float]], at: float
) -> tuple[tuple[float, float], ...]:
    """Return points of the line from the lowest to the highest clean accuracy, ``at`` among them.

    It is straight in logits, so in accuracies it bends.
    """
    x, y = logit(np.array(others, dtype=np.float64)).T
    line = stats.linregress(x, y)
    ends = [float(logit(at)), *x.tolist()]
    steps = np.linspace(min(ends), max(ends), _DRAWN)
    foretold = expit(line.slope * steps + line.intercept)
    return tuple(zip(expit(steps).tolist(), foretold.tolist(), strict=True))


def _point(
    reports: Sequence[EvaluationReport], clean: EvaluationReport, suite: EvaluationReport
) -> tuple[float, float] | None:
    """Return both accuracies of a version on the rows of two reports, if they have logits."""
    rows = {report.dataset_digest: report.metric("accuracy") for report in reports}
    pair = [rows.get(wanted.dataset_digest) for wanted in (clean, suite)]
    values = [None if metric is None else metric.value for metric in pair]
    first, second = values
    if first is None or second is None or not (0.0 < first < 1.0 and 0.0 < second < 1.0):
        return None
    return first, second


def _refuse_what_has_no_line(
    version: tuple[float, float], others: Sequence[tuple[float, float]]
) -> None:
    if len(others) < _FEWEST:
        raise DataError(
            f"{len(others)} other versions to fit a line of effective robustness to",
            expected=f"at least {_FEWEST}, each with its clean accuracy and that under shift",
            fix="train more versions, with other seeds or sizes, and ask again",
        )
    values = np.array([version, *others], dtype=np.float64)
    if not ((values > 0.0) & (values < 1.0)).all():
        raise DataError(
            "an accuracy of 0 or 1 (or none) among the versions",
            expected="accuracies between 0 and 1: the line is fitted to their logits",
            fix="leave that version out, or use a suite on which it errs at least once",
        )
    if np.ptp(values[1:, 0]) == 0.0:
        raise DataError(
            "other versions with one and the same clean accuracy",
            expected="clean accuracies that differ: a line has no slope otherwise",
            fix="add versions of another size or with other seeds",
        )
