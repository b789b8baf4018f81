"""What a run must be better than, or it has failed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from builders import structured_examples

from pipeline_steps.inference.examples_file import rows_of
from pipeline_steps.problems.problem import Content
from pipeline_steps.problems.question_answering import ANSWER, NO_ANSWER
from pipeline_steps.training.runs import baseline_score


def knowing(problem: str, n: int, labels: tuple[str, ...] = ()) -> Any:
    """Return what a baseline asks of a trainer: its validation rows and its answers."""
    rows = [Content(row["text"], row["text_pair"], row["target"])
            for row in structured_examples(problem, n)]  # fmt: skip
    return SimpleNamespace(valid_examples=rows_of(rows), labels=labels)


def test_a_model_that_never_answers_has_learnt_nothing_where_questions_have_no_answer() -> None:
    scorer = knowing("question_answering", 8, (ANSWER, NO_ANSWER))  # each fourth has none
    assert baseline_score(scorer, "question_answering") == pytest.approx(0.25)
    always = knowing("question_answering", 8, (ANSWER,))  # never learnt to give none
    assert baseline_score(always, "question_answering") == 0.0


def test_a_reply_must_be_chosen_better_than_by_chance() -> None:
    scorer = knowing("response_selection", 6)  # three candidates each
    assert baseline_score(scorer, "response_selection") == pytest.approx(1 / 3)
