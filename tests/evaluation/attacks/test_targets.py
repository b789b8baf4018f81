"""Attacks that want one label: which rows they are tried on, and what counts as right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from pipeline_steps.errors import DataError
from pipeline_steps.evaluation.attacks.attack import attack_rows, drawn_rows
from pipeline_steps.evaluation.attacks.attackable import Attackable
from pipeline_steps.evaluation.attacks.goals import Answer, ThisLabel
from pipeline_steps.evaluation.attacks.measures import clean, held
from pipeline_steps.evaluation.attacks.oracle import AnswerBook, Oracle, Victim
from pipeline_steps.evaluation.attacks.recipes import RECIPES
from pipeline_steps.problems.text_classification import TextClassification

LABELS = ("card", "loan", "pin")
TARGET = "loan"


def rows(n: int = 12) -> list[dict[str, Any]]:
    return [
        {
            "example_id": str(i), "text": f"some words of row {i}", "text_pair": None,
            "target": None, "label": LABELS[i % 3],
        }
        for i in range(n)
    ]  # fmt: skip


def saying(label: str | None) -> Victim:
    """Return a victim that says one label whatever is asked; ``None``: the true one."""

    def victim(asked: Sequence[Any]) -> list[Answer]:
        said = [label or row["label"] for row in asked]
        shares = [np.eye(3)[LABELS.index(one)] * 0.7 + 0.1 for one in said]
        return [
            Answer(row["label"], one, 0.8, share)
            for row, one, share in zip(asked, said, shares, strict=True)
        ]

    return victim


def towards_target(label: str | None) -> tuple[float | None, float | None, set[str]]:
    """Return accuracy before and under an attack on such a victim, and the statuses of the rows."""
    oracle = Oracle(ThisLabel(LABELS, TARGET), AnswerBook(saying(label)))
    drawn = drawn_rows(rows(), 100, 0, target=TARGET)
    search = RECIPES["deepwordbug"].search()
    results = attack_rows(drawn, Attackable(TextClassification()), oracle, search, seed=0).results
    found = {result.status for result in results}
    return clean(results, 0.95).value, held(results, "held", 0.95).value, found


def test_a_model_that_is_always_right_is_right_before_and_under_an_attack() -> None:
    assert towards_target(None) == (1.0, 1.0, {"unknown"})


def test_a_model_that_always_says_the_target_was_wrong_before() -> None:
    assert towards_target(TARGET) == (0.0, 0.0, {"wrong"})


def test_a_row_with_another_wrong_label_was_wrong_before_too() -> None:
    before, under, statuses = towards_target("pin")
    assert (before, under) == (0.5, 0.5)
    assert statuses == {"wrong", "unknown"}


def test_rows_that_have_the_target_already_are_not_attacked() -> None:
    drawn = drawn_rows(rows(), 100, 0, target=TARGET)
    assert {row["label"] for row in drawn} == {"card", "pin"}
    assert drawn == [row for row in rows() if row["label"] != TARGET]
    assert len(drawn_rows(rows(), 5, 0, target=TARGET)) == 5


def test_a_target_that_all_rows_have_is_refused() -> None:
    only = [row for row in rows() if row["label"] == TARGET]
    with pytest.raises(DataError, match="which all 4 rows have already"):
        drawn_rows(only, 100, 0, target=TARGET)
