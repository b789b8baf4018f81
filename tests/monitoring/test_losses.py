"""What answers cost, for every problem: by recorded predictions and by labels that came later."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from pipeline_steps.errors import TrafficError
from pipeline_steps.monitoring.losses import answer_flaw, answer_losses, recorded_losses
from pipeline_steps.problems.catalog import PROBLEMS
from pipeline_steps.problems.right_answers import label_flaw


@pytest.mark.parametrize(
    ("problem", "output", "label", "loss"),
    [
        ("text_classification", {"label": "a"}, "a", 0.0),
        ("text_classification", {"label": "a"}, {"label": "b"}, 1.0),
        ("relation_extraction", {"label": "r(e1,e2)"}, "r(e2,e1)", 1.0),
        ("ner", {"tags": ["B-PER", "O"]}, ["B-PER", "O"], 0.0),
        ("ner", {"tags": ["O", "O"]}, {"tags": ["B-PER", "O"]}, 1.0),
        ("ner", {"tags": ["O", "O"]}, ["O", "O"], 0.0),
        ("text_classification", {"label": "1"}, 1.0, 0.0),
        ("text_classification", {"label": "spam"}, " spam ", 0.0),
        ("ner", {"tags": ["B-PER", "O"]}, "B-PER O", 0.0),
        ("ner", {"tags": ["B-PER", "O"]}, ["I-PER", "O"], 0.0),
        ("multi_label_classification", {"labels": ["a", "b"]}, ["a"], 1 / 3),
        ("multi_label_classification", {"labels": ["billing"]}, "billing", 0.0),
        ("multi_label_classification", {"labels": ["b", "a"]}, {"labels": "a; b"}, 0.0),
        ("multi_label_classification", {"labels": []}, [], 0.0),
        ("question_answering", {"answer": "the blue car"}, ["blue car", "a car"], 0.0),
        ("question_answering", {"answer": ""}, "", 0.0),
        (
            "question_answering",
            {"answer": "car"},
            {"answers": {"text": ["car"], "start": [3]}},
            0.0,
        ),
        ("question_answering", {"answer": "train"}, {"answers": [{"text": "car"}]}, 1.0),
        ("translation", {"translation": "ein Haus"}, "ein Haus", 0.0),
        ("response_selection", {"place": 2}, 2, 0.0),
        ("response_selection", {"place": 2}, {"place": 1}, 1.0),
        ("response_selection", {"place": 2}, {"right": "2.0"}, 0.0),
    ],
)
def test_a_late_label_prices_an_answer(problem, output, label, loss) -> None:
    assert answer_losses(problem, [output], [label]) == pytest.approx([loss], abs=1e-6)


def test_a_written_answer_that_is_partly_right_costs_a_part() -> None:
    [loss] = answer_losses("summarisation", [{"summary": "the cat sat"}], ["the cat slept here"])
    assert 0.0 < loss < 1.0


@pytest.mark.parametrize(
    ("problem", "output", "label", "why"),
    [
        ("ner", {"tags": ["O", "O"]}, ["O"], "1 tags for 2 words"),
        ("ner", {"tags": ["O", "O"]}, "OO", "OO is no tag"),
        ("multi_label_classification", {"labels": ["a"]}, ["a", " "], "an empty label"),
        ("multi_label_classification", {"labels": ["a"]}, None, "no labels"),
        ("text_classification", {"label": "a"}, "  ", "no label"),
        ("text_classification", {"label": "a"}, ["a"], "a list where a name was expected"),
        ("text_classification", {"label": "a"}, {}, "no label"),
        ("text_classification", {"label": "a"}, {"label": {}}, "a dict where a name was expected"),
        ("text_classification", {"label": "a"}, {"else": "a"}, "no label"),
        ("translation", {"translation": "ein Haus"}, None, "no text"),
        ("translation", {"translation": "ein Haus"}, "", "an empty text"),
        ("dialogue", {"reply": "yes"}, [], "an empty text"),
        ("summarisation", {"summary": "a cat"}, 5, "a int where a text was expected"),
        ("question_answering", {"answer": "car"}, None, "no answer"),
        ("question_answering", {"answer": "car"}, [{"start": 1}], "an answer without a text"),
        ("question_answering", {"answer": "car"}, 7, "a int where a list was expected"),
        ("response_selection", {"place": 2}, {}, "no place"),
        ("response_selection", {"place": 2}, "I can help.", "only its place is kept"),
    ],
)
def test_a_label_that_is_no_answer_to_its_row_is_refused(problem, output, label, why) -> None:
    with pytest.raises(TrafficError, match=why):
        answer_losses(problem, [output], [label])
    assert re.search(why, answer_flaw(problem, output, label) or "")


@pytest.mark.parametrize("label", [None, {}, {"label": {}}, {"else": 1}, [[1]], [{}], {"tags": 5}])
@pytest.mark.parametrize("problem", sorted(PROBLEMS))
def test_what_fits_no_answer_is_told_without_the_row(problem, label) -> None:
    assert label_flaw(problem, label)


def test_a_reply_may_be_named_by_its_text_where_the_answer_has_it() -> None:
    output = {"place": 2, "reply": "I can help."}
    said = answer_losses("response_selection", [output] * 2, ["I can help.", "No."])
    assert said.tolist() == [0.0, 1.0]


def test_a_label_that_is_called_none_is_wrong_where_another_was_given() -> None:
    assert answer_losses("text_classification", [{"label": "a"}], ["None"]).tolist() == [1.0]


def test_recorded_answers_and_late_labels_cost_the_same() -> None:
    truth, said = [["B-X", "I-X", "O"], ["O", "B-Y"]], [["B-X", "O", "O"], ["O", "B-Y"]]
    recorded = recorded_losses("ner", [json.dumps(t) for t in truth], [json.dumps(s) for s in said])
    late = answer_losses("ner", [{"tags": s} for s in said], truth)
    np.testing.assert_allclose(recorded, late)
    assert recorded_losses("ner", [], []).tolist() == []
