"""Several runs as one: predictions, results and cost of the worst of them on each row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from attack_results import result, results

from pipeline_steps.attack_types import AttackCost, said_of_unchangeable
from pipeline_steps.errors import DataError
from pipeline_steps.evaluation.attacks.measures import attack_metrics, clean, held
from pipeline_steps.evaluation.attacks.merging import worst_table
from pipeline_steps.evaluation.attacks.results_file import (
    AboutAttack,
    read_results,
    write_results,
)
from pipeline_steps.evaluation.attacks.summary import summarise, told_examples
from pipeline_steps.evaluation.attacks.worst_case import worst_case
from pipeline_steps.judging_params import EvaluateParams
from pipeline_steps.predictions_file import PredictionTable

RUNS = {
    "seed 0": results("broken", "unknown", "wrong", "unknown"),
    "seed 1": results("unknown", "broken", "wrong", "unknown"),
}


def table(answers: str) -> PredictionTable:
    logits = np.array(
        [[1.0, 0.0] if answer == "a" else [0.0, 1.0] for answer in answers], dtype=np.float32
    )
    n = len(answers)
    return PredictionTable(
        example_ids=np.array([str(i) for i in range(n)], dtype=object),
        truth=np.array(["a"] * n, dtype=object),
        logits=logits,
        labels=("a", "b"),
        n_tokens=np.zeros(n, dtype=np.int32),
        columns={},
    )


def test_the_accuracy_of_the_merged_predictions_is_that_of_the_worst_case() -> None:
    tables = {"seed 0": table("baba"), "seed 1": table("abba")}
    merged = worst_table(RUNS, tables)
    right = (merged.predicted == merged.truth).tolist()
    assert right == [False, False, False, True]
    assert np.mean(right) == worst_case(RUNS, 0.95).accuracy.value


def test_results_and_what_is_said_of_them_come_back_from_their_file(tmp_path: Path) -> None:
    found = [result(0, "broken", edited=(1,), written=("twx",), similarity=0.9), *results("wrong")]
    about = AboutAttack(
        cost=AttackCost(n_queries=7, n_tokens=9), seeds=(held(found, "seed 0", 0.95),)
    )
    write_results(tmp_path / "a.parquet", found, about)
    assert read_results(tmp_path / "a.parquet") == (found, about)
    (tmp_path / "a.parquet").write_bytes(b"torn")
    with pytest.raises(DataError, match="cannot be read as attack results"):
        read_results(tmp_path / "a.parquet")


def test_costs_add_up() -> None:
    one = AttackCost(n_queries=7, n_scouted=1, n_exact=2, cpu_seconds=0.5)
    assert one.plus(one) == AttackCost(n_queries=14, n_scouted=2, n_exact=4, cpu_seconds=1.0)
    assert one.n_texts == 3


def test_a_summary_counts_every_row_once() -> None:
    rows = results("broken", "broken", "unbroken", "unknown", "wrong")
    about = AboutAttack(cost=AttackCost(n_queries=40))
    found = summarise("pruthi", rows, about, EvaluateParams(bootstrap_resamples=50))
    assert (found.n_broken, found.n_unbroken, found.n_unknown, found.n_wrong) == (2, 1, 1, 1)
    assert (found.accuracy.value, found.clean.value) == (0.4, 0.8)
    assert found.accuracy == held(rows, "accuracy_under_attack", 0.95)
    assert found.clean == clean(rows, 0.95)
    assert found.curve[0].accuracy == found.clean.value
    assert found.curve[-1].accuracy == found.accuracy.value


def test_rows_that_an_attack_could_not_change_are_counted_and_said() -> None:
    idle = [result(row, "unknown", unchangeable=True, n_queries=0) for row in ("a", "b")]
    rows = [*idle, *results("broken", "wrong")]
    share = attack_metrics(rows, EvaluateParams(bootstrap_resamples=50))[2]
    assert (share.name, share.value, share.n) == ("unchangeable", 2 / 3, 3)
    assert not share.greater_is_better
    said = said_of_unchangeable("pruthi", share)
    assert said is not None
    assert said.startswith("pruthi: 2 of 3 rows that were right have nothing that it may change")
    assert said.endswith("say little of this model")
    few = said_of_unchangeable("pruthi", share.model_copy(update={"value": 1 / 3}))
    assert few is not None
    assert "little" not in few
    assert said_of_unchangeable("pruthi", share.model_copy(update={"value": 0.0})) is None
    assert [r.example_id for r in told_examples(rows)] == ["0"]


def test_a_row_is_unchangeable_only_if_it_is_so_for_every_attack() -> None:
    idle, tried = result("a", "unknown", unchangeable=True), result("a", "unknown")
    both = worst_case({"x": [idle], "y": [idle]}, 0.95).results
    one = worst_case({"x": [idle], "y": [tried]}, 0.95).results
    assert (both[0].unchangeable, one[0].unchangeable) == (True, False)


def test_told_are_the_least_changed_breaks_and_the_hardest_fought_that_held() -> None:
    rows = [
        result("a", "broken", n_changed=3),
        result("b", "broken", n_changed=1),
        result("c", "unknown", n_queries=50),
        result("d", "unbroken", n_queries=90),
        result("e", "unknown", n_queries=0),
    ]
    assert [r.example_id for r in told_examples(rows)] == ["b", "a", "d", "c"]


def test_one_broken_row_or_several_that_are_alike_have_no_interval_of_what_was_changed() -> None:
    """Its only resample is itself, and those of rows that are alike are so too."""
    for statuses in (("broken", "unknown"), ("broken", "broken")):
        found = attack_metrics(results(*statuses), EvaluateParams(bootstrap_resamples=50))
        changed = next(metric for metric in found if metric.name == "changed_words")
        assert (changed.n, changed.ci_low) == (statuses.count("broken"), None)
        assert changed.value == 0.5
