"""The worst of several attacks: hand-computed rows and laws."""

from __future__ import annotations

import pytest
from attack_results import result, results
from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.attack_types import AttackResult
from pipeline_steps.errors import DataError
from pipeline_steps.evaluation.attacks.worst_case import worst_case, worst_runs

STATUSES = ("broken", "unbroken", "unknown")


def test_a_row_is_broken_if_any_attack_breaks_it_and_proven_only_if_all_are() -> None:
    runs = {
        "x": results("wrong", "broken", "unknown", "unbroken", "unbroken"),
        "y": results("wrong", "unknown", "broken", "unknown", "unbroken"),
    }
    found = worst_case(runs, 0.95)
    statuses = [row.status for row in found.results]
    assert statuses == ["wrong", "broken", "broken", "unknown", "unbroken"]
    assert (found.accuracy.value, found.accuracy.n) == (0.4, 5)
    assert [(one.name, one.n_broken, one.n_only) for one in found.alone] == [
        ("x", 1, 1), ("y", 1, 1),
    ]  # fmt: skip
    assert [row.n_queries for row in found.results] == [0, 20, 20, 20, 20]


def test_of_two_texts_that_break_a_row_the_one_with_fewer_changes_is_shown() -> None:
    far, near = result(1, "broken", n_changed=4), result(1, "broken", n_changed=2)
    assert worst_runs({"x": [far], "y": [near], "z": [near]}) == ["y"]


def test_of_two_attacks_that_break_nothing_the_more_harmful_answer_counts() -> None:
    runs = {
        "mild": [result(1, "unknown", harm=0.0, n_changed=1)],
        "harsh": [result(1, "unbroken", harm=0.2, n_changed=3)],
    }
    assert worst_runs(runs) == ["harsh"]
    (row,) = worst_case(runs, 0.95).results
    assert (row.status, row.harm) == ("unknown", 0.2)  # one of the searches came to no end


@given(st.lists(st.tuples(st.sampled_from(STATUSES), st.floats(0, 1)), min_size=1, max_size=5))
def test_no_run_harms_a_row_more_than_its_worst_case(found: list[tuple[str, float]]) -> None:
    runs = {f"a{i}": [result(1, status, harm=harm)] for i, (status, harm) in enumerate(found)}
    (worst,) = worst_case(runs, 0.95).results
    broken = {harm for status, harm in found if status == "broken"}
    assert worst.harm == max(broken or {harm for _, harm in found})
    assert (worst.status == "broken") == bool(broken)


@given(
    st.lists(st.lists(st.sampled_from(STATUSES), min_size=6, max_size=6), min_size=1, max_size=4)
)
def test_no_attack_alone_is_worse_and_one_more_never_helps_the_model(runs: list[list[str]]) -> None:
    made: dict[str, list[AttackResult]] = {f"a{i}": results(*run) for i, run in enumerate(runs)}
    worst = worst_case(made, 0.95)
    alone = [worst_case({name: run}, 0.95).accuracy.value for name, run in made.items()]
    fewer = worst_case(dict(list(made.items())[:1]), 0.95)
    assert worst.accuracy.value is not None
    assert all(value is not None and worst.accuracy.value <= value for value in alone)
    assert fewer.accuracy.value is not None
    assert worst.accuracy.value <= fewer.accuracy.value
    broken = sum(row.status == "broken" for row in worst.results)
    assert max(one.n_broken for one in worst.alone) <= broken
    assert sum(one.n_only for one in worst.alone) <= broken


@pytest.mark.parametrize("runs", [{}, {"x": results("broken"), "y": results("broken", "broken")}])
def test_attacks_on_other_rows_are_refused(runs: dict[str, list[AttackResult]]) -> None:
    with pytest.raises(DataError, match="not about the same rows"):
        worst_case(runs, 0.95)
