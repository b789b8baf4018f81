"""What is lost against the clean rows: pairs where there are pairs, else two samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from pipeline_steps.errors import DataError
from pipeline_steps.evaluation.evaluate import evaluate
from pipeline_steps.evaluation.intervals import tango_interval
from pipeline_steps.evaluation.reading import read_scored
from pipeline_steps.evaluation.stress.effective_robustness import effective_robustness
from pipeline_steps.evaluation.stress.shift import (
    gap_metrics,
    newcombe_interval,
)
from pipeline_steps.judging_params import EvaluateParams
from pipeline_steps.worst_groups import worst_group, worst_suite

PARAMS = EvaluateParams(bootstrap_resamples=200, min_slice_rows=2)
TRUTH = [i % 3 for i in range(60)]


def broken(n: int) -> list[int]:
    return [(t + (i < n)) % 3 for i, t in enumerate(TRUTH)]


def gaps(clean, suite, *, sisters: bool = True) -> dict[str, object]:
    scored = [read_scored(predictions, PARAMS) for predictions in (clean, suite)]
    found = gap_metrics(*scored, PARAMS, sisters=sisters)
    return {m.name: m for m in found}


def test_the_gap_of_a_noise_suite_is_compared_pair_by_pair(save) -> None:
    found = gaps(save(TRUTH, broken(6)), save(TRUTH, broken(15), suite="typos"))
    gap = found["accuracy_gap"]
    assert gap.value == pytest.approx(9 / 60)
    assert (gap.ci_low, gap.ci_high) == tango_interval(9, 0, 60, 0.95)
    assert gap.n == 60
    assert not gap.greater_is_better
    assert found["macro_f1_gap"].ci_low <= found["macro_f1_gap"].value


def test_a_part_of_the_rows_is_compared_with_its_own_sisters(save) -> None:
    """The suite holds the first 20 rows only; on those, the clean answers were wrong six times."""
    found = gaps(save(TRUTH, broken(6)), save(TRUTH[:20], broken(6)[:20], suite="hard"))
    assert found["accuracy_gap"].value == 0.0
    assert found["accuracy_gap"].n == 20


def test_other_rows_are_two_samples(save, tmp_path) -> None:
    clean = save(TRUTH, broken(6))
    n = 70
    other = save([i % 3 for i in range(n)], [(i + (i < 35)) % 3 for i in range(n)], suite="shift")
    gap = gaps(clean, other, sisters=False)["accuracy_gap"]
    assert (gap.ci_low, gap.ci_high) == newcombe_interval((54, 60), (35, 70), 0.95)


def test_the_same_answers_lose_nothing(save) -> None:
    found = gaps(save(TRUTH, broken(6)), save(TRUTH, broken(6), suite="same"))
    assert {m.value for m in found.values()} == {0.0}
    assert found["accuracy_gap"].ci_high > 0.0


def test_newcombe_with_nothing_wrong_still_has_width() -> None:
    low, high = newcombe_interval((20, 20), (20, 20), 0.95)
    assert low < 0.0 < high


@given(st.integers(0, 40), st.integers(0, 40))
def test_newcombe_is_antisymmetric(a, b) -> None:
    low, high = newcombe_interval((a, 40), (b, 40), 0.9)
    other = newcombe_interval((b, 40), (a, 40), 0.9)
    assert (-high, -low) == pytest.approx(other)
    assert low <= (a - b) / 40 <= high


def test_the_worst_suite_and_group_are_found_over_all_reports(save) -> None:
    reports = [
        evaluate(save(TRUTH, broken(n), suite=name), PARAMS)
        for name, n in (("test", 6), ("typos", 12), ("shift", 30))
    ]
    assert worst_suite(reports).suite == "shift"
    assert worst_group(reports).suite == "shift"
    assert worst_suite([]) is None
    assert worst_group([]) is None


def test_rows_under_attack_are_neither_the_worst_suite_nor_the_worst_group(save) -> None:
    clean = evaluate(save(TRUTH, broken(6)), PARAMS)
    attack = save(TRUTH, broken(54), suite="deepwordbug", kind="adversarial")
    reports = [clean, evaluate(attack, PARAMS)]
    assert worst_suite(reports) is clean
    assert worst_group(reports).suite == "test"
    assert worst_suite(reports[1:]) is None


def test_a_version_on_the_line_of_the_others_is_no_more_robust_than_they() -> None:
    line = [(float(expit(x)), float(expit(0.8 * x - 1.0))) for x in (0.5, 1.0, 2.0, 2.5)]
    found = effective_robustness(line[1], [line[0], *line[2:]], n=100)
    assert found.value == pytest.approx(0.0, abs=1e-12)
    better = effective_robustness((line[1][0], line[1][1] + 0.1), line, n=100)
    assert better.value == pytest.approx(0.1)
    assert better.n == 100


def test_the_line_and_its_interval_are_those_of_statsmodels() -> None:
    sm = pytest.importorskip("statsmodels.api")
    generator = np.random.default_rng(3)
    x = generator.normal(1.5, 0.5, 6)
    y = 0.7 * x - 0.5 + generator.normal(0, 0.2, 6)
    others = [(float(expit(a)), float(expit(b))) for a, b in zip(x, y, strict=True)]
    version = (0.85, 0.7)
    fit = sm.OLS(y, sm.add_constant(x)).fit()
    at = np.array([[1.0, np.log(0.85 / 0.15)]])
    frame = fit.get_prediction(at).summary_frame(alpha=0.05)
    found = effective_robustness(version, others, n=10)
    assert found.value == pytest.approx(0.7 - expit(frame["mean"][0]))
    assert found.ci_low == pytest.approx(0.7 - expit(frame["obs_ci_upper"][0]))
    assert found.ci_high == pytest.approx(0.7 - expit(frame["obs_ci_lower"][0]))


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ([(0.8, 0.7), (0.9, 0.8)], "2 other versions"),
        ([(0.8, 0.7), (0.9, 1.0), (0.7, 0.6)], "an accuracy of 0 or 1"),
        ([(0.8, 0.7), (0.8, 0.6), (0.8, 0.5)], "one and the same clean accuracy"),
    ],
)
def test_what_has_no_line_is_refused(others, said) -> None:
    with pytest.raises(DataError, match=said):
        effective_robustness((0.8, 0.7), others, n=10)


@settings(max_examples=20)
@given(st.integers(0, 500))
def test_three_versions_give_a_very_wide_interval(seed) -> None:
    generator = np.random.default_rng(seed)
    pairs = [tuple(generator.uniform(0.6, 0.9, 2)) for _ in range(4)]
    found = effective_robustness(pairs[0], pairs[1:], n=10)
    assert found.ci_low <= found.value <= found.ci_high
