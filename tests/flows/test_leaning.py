"""What a report says of the surest mistakes of a text classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_predictors import predictor

from flows.leaning import leanings, surest_mistakes
from pipeline_steps.inference.attribution import word_attributions
from pipeline_steps.inference.normalising.normaliser import Normaliser
from pipeline_steps.inference.readings import Reading
from pipeline_steps.inference.tokenization import with_normaliser
from pipeline_steps.predictions_file import StructuredTable


def row(text: str, label: str, pair: str | None = None) -> dict[str, Any]:
    return {"example_id": "a", "text": text, "text_pair": pair, "label": label}


def test_the_stretches_of_a_mistake_are_its_texts_and_the_heaviest_weighs_one(
    tmp_path: Path,
) -> None:
    asked = predictor(tmp_path)
    rows = {"a": row("the good card, very bad", "bad", "my fee")}
    (found,) = leanings(asked, rows, {"a": ("good", 0.9)})
    assert "".join(text for text, _ in found.stretches) == "the good card, very bad / my fee"
    weights = {text: weight for text, weight in found.stretches if weight}
    assert max(map(abs, weights.values())) == 1.0
    assert {"the", "good", "very", "bad", "my", "fee"} <= set(weights)
    words = [(0, 4, 8), (0, 15, 19)]
    reading = Reading("the good card, very bad", "my fee", 1, words, rival=0)
    (plain,) = word_attributions(asked, [reading])
    told = weights["good"] / weights["very"]
    assert told == pytest.approx(plain.words[0] / plain.words[1], rel=1e-4)
    assert found.blank == pytest.approx(plain.blank)
    assert (found.truth, found.predicted, found.confidence) == ("bad", "good", 0.9)


def test_a_truth_that_the_model_was_never_taught_leaves_the_answer_against_all_labels(
    tmp_path: Path,
) -> None:
    asked = predictor(tmp_path)
    (found,) = leanings(asked, {"a": row("good card", "new")}, {"a": ("good", 0.9)})
    (plain,) = word_attributions(asked, [Reading("good card", None, 1, [(0, 0, 4), (0, 5, 9)])])
    (good, _), (card, _) = (stretch for stretch in found.stretches if stretch[1])
    assert (good, card) == ("good", "card")
    heaviest = max(abs(plain.words))
    assert [weight for _, weight in found.stretches if weight] == pytest.approx(
        list(plain.words / heaviest), abs=1e-5
    )


def test_a_text_is_shown_as_the_model_reads_it(tmp_path: Path) -> None:
    asked = predictor(tmp_path)
    with_normaliser(asked.tokenizer, Normaliser({"good": 9.0, "card": 5.0}))
    rows = {"a": row("goood card", "bad")}
    (found,) = leanings(asked, rows, {"a": ("good", 0.9)})
    assert "".join(text for text, _ in found.stretches) == "good card"


def test_the_surest_mistakes_come_first_and_right_answers_are_none() -> None:
    truth, n = ["bad", "bad", "bad", "good"], 4
    table = StructuredTable(
        example_ids=np.array(list("abcd"), dtype=object), truth=np.array(truth, dtype=object),
        predicted=np.array(["good"] * n, dtype=object), score=np.array([0.6, 0.9, 0.7, 0.99]),
        labels=("bad", "good"), n_tokens=np.ones(n, dtype=np.int32), columns={},
    )  # fmt: skip
    answers = surest_mistakes(table)
    assert list(answers) == ["b", "c", "a"]
    assert answers["b"] == ("good", 0.9)
