"""Answers as people read them, whatever the problem keeps them as."""

from __future__ import annotations

import json

import pytest
from attack_results import result

from flows.commands.attack_lines import _spent, _told
from pipeline_steps.attack_types import AttackCost
from pipeline_steps.reporting.told_answers import told_answer

TAGS = ["O", "B-FIRM", "I-FIRM", "O", "B-PLACE"]


@pytest.mark.parametrize(
    ("answer", "text", "told"),
    [
        (json.dumps(TAGS), "hello Elm Press in Oslo", "FIRM: Elm Press; PLACE: Oslo"),
        (json.dumps(TAGS), "hello Elm Press i n Oslo", "FIRM; PLACE"),  # a blank was put into "in"
        (json.dumps(["O", "O"]), "hello there", "nothing"),
        (json.dumps({"text": "alarm down", "nll": 4.2, "n_tokens": 3}), "", "alarm down"),
        (json.dumps({"text": "", "nll": 4.2, "n_tokens": 1}), "", "nothing"),
        (json.dumps("23 euros"), "", "23 euros"),
        (json.dumps(""), "", "nothing"),
        (json.dumps(["30,000", "about 30,000"]), "", "30,000; about 30,000"),
        (json.dumps([]), "", "nothing"),
        ("card_lost", "", "card_lost"),
        ("404", "", "404"),
        ("Cause-Effect(e1,e2)", "", "Cause-Effect(e1,e2)"),
    ],
)
def test_an_answer_is_told_in_words(answer: str, text: str, told: str) -> None:
    """Attacks told lists of tags, and dictionaries with the likelihood of a text."""
    assert told_answer(answer, text) == told


def test_a_broken_conversation_is_told_with_all_lines_behind_its_row() -> None:
    said = json.dumps({"text": "yes", "nll": 1.0, "n_tokens": 1})
    broken = result(
        7, "broken", truth=json.dumps(["no"]), prediction=said,
        original="user: hi\nuser: used?", perturbed="user: hi\nuser: uesd?",
    )  # fmt: skip
    lines = _told(broken).splitlines()
    assert lines[0] == "  7: no -> yes"
    assert lines[1:3] == ["    user: hi", "      user: used?"]
    assert all(line.startswith("    ") for line in lines[1:])


def test_of_a_model_that_runs_elsewhere_no_passes_are_counted() -> None:
    """An endpoint "read 372 texts in 0 forward passes"."""
    here = AttackCost(n_queries=4, n_exact=5, n_forwards=2, n_tokens=30, n_padding=1)
    assert _spent(here).startswith("4 queries, 5 texts read in 2 forward passes, 30 tokens")
    assert "5 texts sent" in _spent(AttackCost(n_queries=4, n_exact=5))
    assert "0 forward passes" in _spent(AttackCost(n_queries=0))
