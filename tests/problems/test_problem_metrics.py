"""Metrics of structured answers: by hand, and as sums over examples."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.evaluation.answers import answered_rows
from pipeline_steps.evaluation.outcomes import Outcomes
from pipeline_steps.evaluation.scored import point_metrics
from pipeline_steps.problems.catalog import PROBLEMS
from pipeline_steps.problems.directed_relations import relation_f1
from pipeline_steps.problems.squad import best_scores

TAGS = st.lists(st.sampled_from(["O", "B-x", "I-x", "B-y"]), min_size=1, max_size=5)


def scored(problem: str, truth: list, predicted: list):
    as_json = [
        np.array([json.dumps(v) for v in values], dtype=object) for values in (truth, predicted)
    ]
    confidence = np.linspace(0.1, 0.9, len(truth))
    return answered_rows(PROBLEMS[problem], *as_json, confidence, 10)


def test_entities_are_right_as_a_whole_or_not_at_all() -> None:
    rows = scored("ner", [["B-x", "I-x", "O", "B-y"]], [["B-x", "O", "O", "B-y"]])
    found = point_metrics(rows)
    assert found["entity_f1"] == found["entity_precision"] == found["entity_recall"] == 0.5
    assert found["macro_f1"] == 0.5
    assert found["token_accuracy"] == 0.75
    assert found["sentence_accuracy"] == 0.0
    assert [(c.label, c.f1, c.support) for c in rows.statistics.classes] == [
        ("x", 0, 1),
        ("y", 1, 1),
    ]
    assert [(c.label, c.support) for c in rows.statistics.tags] == [
        ("O", 1), ("B-x", 1), ("I-x", 1), ("B-y", 1),
    ]  # fmt: skip
    assert rows.statistics.confusion == (("x", "O", 1),)


def test_without_an_entity_its_metrics_are_undefined_and_not_0() -> None:
    found = point_metrics(scored("ner", [["O", "O"]], [["O", "O"]]))
    assert np.isnan([found[n] for n in ("entity_f1", "entity_recall", "macro_f1")]).all()
    assert found["token_accuracy"] == 1.0


@pytest.mark.parametrize(
    ("truth", "predicted", "exact", "f1"),
    [
        (["the Cat!"], "cat", 1.0, 1.0),
        (["a b c", "b c d"], "b c d", 1.0, 1.0),
        (["x y z"], "y z w", 0.0, 2 / 3),
        (["x x y"], "x", 0.0, 0.5),
        ([], "", 1.0, 1.0),
        ([], "x", 0.0, 0.0),
        (["x"], "", 0.0, 0.0),
        (["the"], "a", 1.0, 1.0),
        ([".", "x"], "", 0.0, 0.0),
    ],
)
def test_answers_are_scored_as_the_scripts_of_squad_do(truth, predicted, exact, f1) -> None:
    """Expected values from evaluate-v2.0.py, worked through by hand."""
    assert best_scores(truth, predicted) == (exact, pytest.approx(f1))


def test_questions_with_and_without_answer_are_reported_apart() -> None:
    rows = scored("question_answering", [["x y"], ["z"], [], []], ["x", "z", "", "w"])
    found = point_metrics(rows)
    assert found["exact_match"] == 0.5
    assert found["f1"] == pytest.approx((2 / 3 + 1 + 1 + 0) / 4)
    assert found["has_answer_f1"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["has_answer_exact_match"] == 0.5
    assert found["no_answer_f1"] == found["no_answer_exact_match"] == 0.5
    assert rows.statistics.confusion == (("no answer", "answer", 1),)


def test_the_two_kinds_of_questions_are_not_told_apart_where_there_is_one() -> None:
    found = point_metrics(scored("question_answering", [["x"], ["z"]], ["x", "y"]))
    assert set(found) == {"f1", "exact_match", "ece"}


def test_the_score_of_semeval_2010_task_8_by_hand() -> None:
    """Rows: three Cause, two Content, two Other; a wrong direction costs precision and recall."""
    labels = ("Cause(e1,e2)", "Cause(e2,e1)", "Content(e1,e2)", "Other")
    truth = np.array([0, 0, 1, 2, 2, 3, 3])
    predicted = np.array([0, 1, 1, 2, 3, 3, 0])
    hits, support, assigned = (
        np.bincount(a, minlength=4) for a in (truth[truth == predicted], truth, predicted)
    )
    cause = 2 * 2 / (3 + 4)  # 2 right; 3 there are, 4 were said to be
    content = 2 * 1 / (2 + 1)
    assert relation_f1(labels, hits, support, assigned) == pytest.approx((cause + content) / 2)


def test_the_relation_score_of_a_direction_free_set_is_macro_f1() -> None:
    generator = np.random.default_rng(0)
    truth, predicted = generator.integers(0, 3, (2, 60))
    n = len(truth)
    rows = Outcomes(
        ("a", "b", "c"), truth, predicted, np.ones(n), np.ones(n), np.full(n, 0.5),
        np.zeros(n, int), 10, PROBLEMS["relation_extraction"],
    )  # fmt: skip
    found = point_metrics(rows)
    assert found["relation_f1"] == pytest.approx(found["macro_f1"])
    assert next(iter(rows.directions)) == "relation_f1"


@given(st.lists(st.tuples(TAGS, TAGS), min_size=1, max_size=6), st.data())
def test_weighting_a_row_is_repeating_it(pairs, data) -> None:
    """What bootstrap, slices and swaps rest on."""
    pairs = [(t, (p * 5)[: len(t)]) for t, p in pairs]
    weights = data.draw(st.lists(st.integers(0, 3), min_size=len(pairs), max_size=len(pairs)))
    if not any(weights):
        weights[0] = 1
    rows = scored("ner", *zip(*pairs, strict=True))
    repeated = rows.take(np.repeat(np.arange(len(pairs)), weights))
    expected = point_metrics(repeated)
    for name, value in rows.weighted(np.array([weights], float)).items():
        np.testing.assert_allclose(value[0], expected[name])


@pytest.mark.parametrize("problem", ["ner", "question_answering"])
def test_rows_behind_rows_are_counted_alike(problem: str) -> None:
    """The types of the other model's answers get columns of their own."""
    answers = {"ner": ([["B-x"]], [["B-z"]]), "question_answering": (["x"], ["y"])}[problem]
    truth = [["B-y"]] if problem == "ner" else [["x"]]
    ours, theirs = (scored(problem, truth, answer) for answer in answers)
    both = ours.followed_by(theirs)
    assert len(both) == 2
    for weights, alone in (([1.0, 0.0], ours), ([0.0, 1.0], theirs)):
        expected = point_metrics(alone)
        headline = both.headlines[0]
        assert both.weighted(np.array([weights]))[headline][0] == expected[headline]
    assert not ours.answers_like(theirs)
    assert ours.answers_like(ours)


def written(*texts: str, nll: float = 2.0, n_tokens: int = 2) -> list[dict]:
    return [{"text": text, "nll": nll, "n_tokens": n_tokens} for text in texts]


def test_perplexity_is_that_of_all_tokens_and_less_is_better() -> None:
    rows = scored(
        "dialogue",
        [["a"], ["b"]],
        [*written("a", nll=1.0, n_tokens=1), *written("x", nll=5.0, n_tokens=2)],
    )
    assert point_metrics(rows)["perplexity"] == pytest.approx(np.exp(6 / 3))
    assert rows.directions["perplexity"] is False
    assert rows.directions["chrf"] is True


def test_an_answer_is_exact_if_it_is_one_of_the_references() -> None:
    rows = scored("translation", [["a", "b"], ["c"]], written("b", "d"))
    found = point_metrics(rows)
    assert found["exact_match"] == 0.5
    assert set(found) == {"chrf", "bleu", "perplexity", "exact_match", "ece"}


def test_an_empty_answer_scores_0() -> None:
    found = point_metrics(scored("translation", [["a b c d e"]], written("")))
    assert found["bleu"] == found["chrf"] == found["exact_match"] == 0.0
    found = point_metrics(scored("summarisation", [["a b c d e"]], written("")))
    assert found["rougeL"] == 0.0


def test_a_right_candidate_in_second_place_counts_half() -> None:
    found = point_metrics(
        scored("response_selection", [0, 2, 1], [[0, 1, 2], [1, 2, 0], [0, 2, 1]])
    )
    assert found["recall_at_1"] == pytest.approx(1 / 3)
    assert found["mrr"] == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
