"""Seeds of one training, and a version beside the line of others, as reports are given them."""

from __future__ import annotations

import math
import statistics
from typing import Any

import pytest
from scipy import stats

from pipeline_steps.evaluation.stress.effective_robustness import (
    effective_robustness,
    fitted_line,
    robustness_lines,
)
from pipeline_steps.evaluation.stress.seeds import spread_of_runs
from pipeline_steps.evaluation_types import EvaluationReport, MetricValue


def version(clean: float, shifted: float, rows: str = "s") -> list[EvaluationReport]:
    return [
        EvaluationReport(
            checkpoint_digest=f"{clean}", dataset_digest=digest, predictions_digest="p",
            suite=name, kind=kind, n=200,
            metrics=(MetricValue(name="accuracy", value=value, n=200),),
        )
        for name, kind, digest, value in (
            ("test", "clean", "t", clean), ("later", "shift", rows, shifted),
        )
    ]  # fmt: skip


OTHERS = [version(0.88, 0.79), version(0.90, 0.80), version(0.93, 0.85)]


def test_a_version_is_held_against_the_line_of_the_others() -> None:
    (found,) = robustness_lines(version(0.91, 0.84), OTHERS, 0.95)
    points = [(0.88, 0.79), (0.90, 0.80), (0.93, 0.85)]
    assert found.above == effective_robustness((0.91, 0.84), points, n=200)
    assert (found.suite, found.version, list(found.others)) == ("later", (0.91, 0.84), points)
    xs = [x for x, _ in found.line]
    assert (xs[0], xs[-1]) == pytest.approx((0.88, 0.93))


def test_the_line_is_straight_in_logits() -> None:
    def logit(share: float) -> float:
        return math.log(share / (1 - share))

    line = fitted_line([(0.8, 0.6), (0.9, 0.7), (0.95, 0.9)], at=0.7)
    xs, ys = [[logit(point[axis]) for point in line] for axis in (0, 1)]
    assert stats.linregress(xs, ys).rvalue == pytest.approx(1.0)


@pytest.mark.parametrize(
    "others",
    [
        [],
        OTHERS[:2],
        [*OTHERS[:2], version(0.93, 0.85, rows="other rows")],
        [*OTHERS[:2], version(1.0, 0.85)],
        [*OTHERS[:2], OTHERS[0]],
        [version(0.9, 0.7), version(0.9, 0.75), version(0.9, 0.8)],
    ],
)
def test_without_three_others_on_the_same_rows_there_is_no_line(others: list[Any]) -> None:
    assert robustness_lines(version(0.91, 0.84), others, 0.95) == ()


def test_a_version_that_never_errs_has_no_place_on_the_line() -> None:
    assert robustness_lines(version(1.0, 0.84), OTHERS, 0.95) == ()


def runs(*scores: float | None) -> dict[str, Any]:
    return {
        "metric": "accuracy", "seeds": list(range(len(scores))), "scores": list(scores),
        "failed": [], "chosen": [0], "combine": "best", "baseline": 0.5,
    }  # fmt: skip


def test_the_spread_over_seeds_is_the_textbooks() -> None:
    scores = (0.9, 0.92, 0.91, 0.95)
    found = spread_of_runs(runs(*scores, None), 0.95)
    assert found is not None
    assert found.mean.value == pytest.approx(statistics.fmean(scores))
    assert found.deviation.value == pytest.approx(statistics.stdev(scores))
    low, high = stats.t.interval(
        0.95, 3, loc=statistics.fmean(scores), scale=statistics.stdev(scores) / 2
    )
    assert (found.mean.ci_low, found.mean.ci_high) == pytest.approx((low, high))
    assert (found.mean.n, found.seeds[-1], found.scores[-1]) == (4, 4, None)


def test_one_run_that_came_to_an_end_has_no_spread() -> None:
    assert spread_of_runs(runs(0.9, None), 0.95) is None
