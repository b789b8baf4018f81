"""The pool against a toy victim whose weak words are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from pipeline_steps.evaluation.attacks.goals import Answer, WrongLabel
from pipeline_steps.evaluation.attacks.oracle import AnswerBook, Oracle
from pipeline_steps.evaluation.attacks.passage import Passage
from pipeline_steps.evaluation.attacks.pool import Attacked, Limits, Pool
from pipeline_steps.evaluation.attacks.recipes import RECIPES
from pipeline_steps.problems.text_classification import TextClassification

LABELS = ("bad", "good")
TEXTS = ("a good film", "good, really good acting", "the worst plot", "dull and long", "fine")


def keyword_victim(rows: Sequence[Any]) -> list[Answer]:
    """Answer ``good`` by how many of the words are good."""
    answers = []
    for row in rows:
        words = row["text"].replace(",", "").split()
        share = sum(word in ("good", "fine") for word in words) / (len(words) + 1)
        probabilities = np.array([1 - share, share]) if share else np.array([0.9, 0.1])
        probabilities = np.array([0.2, 0.8]) * (share > 0) + np.array([0.9, 0.1]) * (share == 0)
        probabilities = probabilities + np.array([-share, share]) / 10
        label = LABELS[int(probabilities.argmax())]
        answers.append(Answer(row["label"], label, float(probabilities.max()), probabilities))
    return answers


def passages() -> list[Passage]:
    labels = ["good", "good", "bad", "bad", "good"]
    return [
        Passage.of(
            {"example_id": str(i), "text": text, "text_pair": None, "target": None, "label": label},
            TextClassification(),
        )
        for i, (text, label) in enumerate(zip(TEXTS, labels, strict=True))
    ]


def attacks() -> Pool:
    oracle = Oracle(WrongLabel(LABELS), AnswerBook(keyword_victim))
    return Pool(oracle, RECIPES["deepwordbug"].search())


def run(**limits: Any) -> dict[str, Attacked]:
    found = attacks().attack(passages(), seed=0, limits=Limits(**limits))
    return {attacked.passage.example_id: attacked for attacked in found}


def test_a_misspelt_keyword_breaks_the_rows_that_hang_on_it() -> None:
    found = run()
    assert [found[str(i)].status for i in range(5)] == [
        "broken", "broken", "unknown", "unknown", "broken",
    ]  # fmt: skip
    assert found["0"].last.predicted == "bad"


@pytest.mark.parametrize("rows_at_once", [1, 2, 64])
def test_how_many_rows_are_attacked_at_once_changes_nothing(rows_at_once: int) -> None:
    found, alone = run(rows_at_once=rows_at_once), run(rows_at_once=3)
    assert {k: (v.status, v.edits, v.n_queries) for k, v in found.items()} == {
        k: (v.status, v.edits, v.n_queries) for k, v in alone.items()
    }


def test_rows_behind_many_that_are_wrong_from_the_start_are_attacked_too() -> None:
    wrong = [p for p in passages() if p.example_id in ("0", "1")]
    rows = [Passage.of({**p.row, "label": "bad"}, p.problem) for p in wrong]
    found = list(attacks().attack([*rows, passages()[4]], seed=0, limits=Limits(rows_at_once=1)))
    assert [attacked.status for attacked in found] == ["wrong", "wrong", "broken"]


def test_a_masked_word_is_never_a_result() -> None:
    def only_mask(rows: Sequence[Any]) -> list[Answer]:
        """Fall for the mask of the ranking, and for nothing else."""
        masked = ["[UNK]" in row["text"] for row in rows]
        shares = [np.array([0.9, 0.1]) if m else np.array([0.1, 0.9]) for m in masked]
        return [
            Answer(row["label"], LABELS[int(share.argmax())], 0.9, share)
            for row, share in zip(rows, shares, strict=True)
        ]

    oracle = Oracle(WrongLabel(LABELS), AnswerBook(only_mask))
    found = list(Pool(oracle, RECIPES["deepwordbug"].search()).attack(passages()[:2], seed=0))
    assert [(attacked.status, "[UNK]" in attacked.edits.values()) for attacked in found] == [
        ("unknown", False),
        ("unknown", False),
    ]


@pytest.mark.parametrize("budget", [0, 1, 5])
def test_no_row_is_asked_about_more_often_than_the_budget_allows(budget: int) -> None:
    assert max(found.n_queries for found in run(max_queries=budget).values()) <= budget
