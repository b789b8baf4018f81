"""Paired differences on slices: those rows alone, by the tests of all rows."""

from __future__ import annotations

import pytest

from pipeline_steps.evaluation.compare import compare
from pipeline_steps.evaluation.paired_tests import mcnemar_p
from pipeline_steps.judging_params import EvaluateParams

PARAMS = EvaluateParams(bootstrap_resamples=100, min_slice_rows=20)
TRUTH = [0] * 60


def test_a_slice_shows_the_harm_that_the_average_hides(save) -> None:
    """Rows with an odd number are of domain a: there, the candidate loses 8; elsewhere it wins 9."""
    ours = [1 if i % 2 and i < 16 else 0 for i in range(60)]
    theirs = [0 if i % 2 or i >= 18 else 1 for i in range(60)]
    found = compare(save(TRUTH, ours, digest="a"), save(TRUTH, theirs, digest="b"), PARAMS)
    assert found.differences[0].difference == pytest.approx(1 / 60)
    parts = {part.value: part for part in found.slices}
    assert set(parts) == {"a", "b"}
    assert parts["a"].n == 30
    assert parts["a"].difference.difference == pytest.approx(-8 / 30)
    assert parts["a"].difference.p_worse == mcnemar_p(8, 0)
    assert parts["b"].difference.p_value == mcnemar_p(9, 0)
    assert parts["b"].difference.ci_low < 9 / 30 < parts["b"].difference.ci_high


def test_small_slices_and_columns_with_one_value_are_left_out(save) -> None:
    few = PARAMS.model_copy(update={"min_slice_rows": 31})
    a, b = save(TRUTH, TRUTH, digest="a"), save(TRUTH, TRUTH, digest="b")
    assert compare(a, b, few).slices == ()


def test_better_and_worse_are_opposite_sides_of_one_test(save) -> None:
    ours = [0 if i % 3 else 1 for i in range(60)]
    theirs = [0 if i % 5 else 1 for i in range(60)]
    a, b = save(TRUTH, ours, digest="a"), save(TRUTH, theirs, digest="b")
    straight, turned = compare(a, b, PARAMS), compare(b, a, PARAMS)
    for one, other in zip(straight.differences, turned.differences, strict=True):
        if one.name in ("accuracy", "micro_f1"):
            assert (one.p_value, one.p_worse) == (other.p_worse, other.p_value)
        assert one.p_value is not None
        assert one.p_worse is not None
        assert one.p_value + one.p_worse >= 1.0
