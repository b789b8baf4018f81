"""Budget curves: hand-computed, monotone, and the interval of statsmodels."""

from __future__ import annotations

import pytest
from attack_results import result, results
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from pipeline_steps.evaluation.attacks.budget import budget_curve, queries, words


def test_a_curve_falls_where_rows_break() -> None:
    rows = [
        result(0, "wrong"), result(1, "unknown", n_queries=99),
        result(2, "broken", n_queries=5, n_changed=2), result(3, "broken", n_queries=9),
        result(4, "broken", n_queries=9),
    ]  # fmt: skip
    by_queries = [(p.budget, p.accuracy) for p in budget_curve(rows, queries, 0.95)]
    by_words = [(p.budget, p.accuracy) for p in budget_curve(rows, words, 0.95)]
    assert by_queries == [(0, 0.8), (5, pytest.approx(0.6)), (9, pytest.approx(0.2))]
    assert by_words == [(0, 0.8), (1, pytest.approx(0.4)), (2, pytest.approx(0.2))]
    point = budget_curve(rows, queries, 0.95)[1]
    peer = binomtest(3, 5).proportion_ci(0.95, method="wilson")
    assert (point.ci_low, point.ci_high) == pytest.approx((peer.low, peer.high))


@given(st.lists(st.tuples(st.sampled_from(["wrong", "broken", "unknown"]), st.integers(1, 50))))
def test_a_larger_budget_never_helps_the_model(rows: list[tuple[str, int]]) -> None:
    made = [result(i, status, n_queries=n) for i, (status, n) in enumerate(rows)]
    curve = budget_curve(made, queries, 0.95)
    assert [p.budget for p in curve] == sorted({p.budget for p in curve})
    accuracies = [p.accuracy for p in curve]
    assert accuracies == sorted(accuracies, reverse=True)
    assert all(p.ci_low <= p.accuracy <= p.ci_high for p in curve)
    if made:
        held = sum(row.status == "unknown" for row in made)
        assert curve[-1].accuracy == held / len(made)


def test_an_attack_that_breaks_nothing_is_a_point() -> None:
    [point] = budget_curve(results("unknown", "wrong"), queries, 0.95)
    assert (point.budget, point.accuracy, point.n) == (0, 0.5, 2)
