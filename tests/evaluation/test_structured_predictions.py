"""Structured answers on disk: round trip, reports, paired comparisons."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from pipeline_steps.errors import DataError
from pipeline_steps.evaluation.compare import compare
from pipeline_steps.evaluation.evaluate import evaluate
from pipeline_steps.evaluation.intervals import wilson_interval
from pipeline_steps.judging_params import EvaluateParams
from pipeline_steps.predictions_file import StructuredTable, read_predictions, write_predictions
from pipeline_steps.types import Predictions

PARAMS = EvaluateParams(bootstrap_resamples=200, min_slice_rows=5)
TRUTH = [["B-x", "I-x", "O"], ["O", "O", "B-y"], ["O", "O", "O"]] * 10
MISSED = [["B-x", "O", "O"], ["O", "O", "B-y"], ["O", "O", "O"]] * 10


@pytest.fixture
def save(tmp_path) -> Callable[..., Predictions]:
    def write(
        predicted: list, *, digest: str = "m", truth: list = TRUTH, problem: str = "ner", **how
    ) -> Predictions:
        order = np.array(how.get("order", range(len(truth))), dtype=int)
        n = len(truth)
        table = StructuredTable(
            example_ids=np.array([f"r{i:02d}" for i in range(n)], dtype=object)[order],
            truth=np.array([json.dumps(v) for v in truth], dtype=object)[order],
            predicted=np.array([json.dumps(v) for v in predicted], dtype=object)[order],
            score=np.full(n, how.get("score", 0.8)),
            labels=("O", "B-x"),
            n_tokens=np.full(n, 5, dtype=np.int32),
            columns={"domain": np.array(["a", "b"] * n, dtype=object)[:n][order]},
        )
        return write_predictions(
            tmp_path / f"{digest}.parquet", table, checkpoint_digest=digest, dataset_digest="d",
            suite="test", kind="clean", problem=problem,
        )  # fmt: skip

    return write


def test_answers_are_read_as_they_were_written(save) -> None:
    made = save(MISSED)
    assert made.problem == "ner"
    table = read_predictions(made)
    assert isinstance(table, StructuredTable)
    assert [json.loads(v) for v in table.predicted] == MISSED
    assert table.score.tolist() == [0.8] * 30


def test_a_report_has_the_metrics_of_the_problem_with_intervals(save) -> None:
    report = evaluate(save(MISSED), PARAMS)
    assert report.headlines == ("entity_f1", "macro_f1")
    found = report.metric("entity_f1")
    assert found is not None
    assert found.value == 0.5
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert found.ci_low < 0.5 < found.ci_high
    assert [m.name for m in report.metrics][-2:] == ["sentence_accuracy", "ece"]
    assert [part.metrics[0].name for part in report.slices] == ["entity_f1", "entity_f1"]
    assert [line.label for line in report.classes] == ["x", "y"]
    assert {line.label for line in report.tags} == {"O", "B-x", "I-x", "B-y"}
    assert report.confusion == (("x", "O", 10),)


def test_the_order_of_rows_changes_nothing(save) -> None:
    forwards = evaluate(save(MISSED, digest="a"), PARAMS)
    backwards = evaluate(save(MISSED, digest="b", order=list(range(29, -1, -1))), PARAMS)
    assert forwards.metrics == backwards.metrics
    assert forwards.slices == backwards.slices


def test_a_slice_without_entities_is_undefined_and_not_the_worst(save) -> None:
    truth = [["B-x"] if i % 2 else ["O"] for i in range(20)]
    report = evaluate(save(truth, truth=truth), PARAMS)
    values = {part.value: part.metrics[0].value for part in report.slices}
    assert values == {"a": None, "b": 1.0}
    assert report.worst_slice is not None
    assert report.worst_slice.value == "b"


def test_all_answers_right_leave_room_for_doubt(save) -> None:
    found = evaluate(save(TRUTH), PARAMS).metric("entity_f1")
    assert found is not None
    assert found.value == 1.0
    assert found.ci_low is not None
    assert found.ci_low < 0.95


def test_a_better_candidate_is_shown_to_be_one(save) -> None:
    comparison = compare(save(TRUTH, digest="new"), save(MISSED, digest="old"), PARAMS)
    assert comparison.headline == "entity_f1"
    found = {d.name: d for d in comparison.differences}
    assert found["entity_f1"].difference == 0.5
    assert found["entity_f1"].ci_low > 0.0
    assert 0.0 < found["entity_f1"].p_value < 1 / 500  # finer than the first 200 swaps can tell
    assert found["sentence_accuracy"].p_value == pytest.approx(0.5**10)
    assert comparison.n_only_candidate_correct == 10
    assert {d.greater_is_better for d in comparison.differences if d.name == "ece"} == {False}


def test_the_same_answers_twice_show_no_gain_and_have_an_interval(save) -> None:
    comparison = compare(save(MISSED, digest="new"), save(MISSED, digest="old"), PARAMS)
    for difference in comparison.differences:
        assert difference.difference == 0.0
        assert difference.p_value == 1.0
    headline = comparison.differences[0]
    assert headline.ci_low < 0.0 < headline.ci_high


def test_questions_are_compared_by_f1_and_exact_match(save) -> None:
    truth = [["the card"]] * 20
    better = save(["card"] * 20, digest="new", truth=truth, problem="question_answering")
    worse = save(["card", "my loan"] * 10, digest="old", truth=truth, problem="question_answering")
    comparison = compare(better, worse, PARAMS)
    assert comparison.headline == "f1"
    found = {d.name: d.difference for d in comparison.differences}
    assert (found["f1"], found["exact_match"]) == (0.5, 0.5)


def said(*texts: str, nll: float = 3.0) -> list[dict]:
    return [{"text": text, "nll": nll, "n_tokens": 3} for text in texts]


CAPTIONS = [[f"a man in a red hat rides horse number {i} on the beach"] for i in range(30)]
RIGHT = said(*(references[0] for references in CAPTIONS), nll=0.3)
HALF = said(*(" ".join(references[0].split()[:7]) for references in CAPTIONS))


def test_corpus_scores_are_compared_on_the_same_resamples(save) -> None:
    some = [*RIGHT[:10], *HALF[10:]]
    comparison = compare(
        save(some, digest="new", truth=CAPTIONS, problem="translation"),
        save(HALF, digest="old", truth=CAPTIONS, problem="translation"),
        PARAMS,
    )
    found = {d.name: d for d in comparison.differences}
    assert comparison.headline == "chrf"
    for name in ("chrf", "bleu"):
        assert 0.0 < found[name].ci_low < found[name].difference < found[name].ci_high
        assert 0.0 < found[name].p_value < 1 / 500
    assert found["perplexity"].difference < 0.0
    assert 0.0 < found["perplexity"].p_value < 1 / 500  # finer than the first 200 swaps can tell


def test_no_exact_answer_does_not_make_an_average_as_certain_as_a_share(save) -> None:
    found = evaluate(save(HALF, truth=CAPTIONS, problem="summarisation"), PARAMS).metric("rougeL")
    assert found is not None
    assert 0.6 < found.value < 0.8
    assert found.ci_low <= found.value <= found.ci_high


def test_texts_that_are_all_right_or_written_alike_leave_room_for_doubt(save) -> None:
    ours, theirs = (
        save(RIGHT, digest=name, truth=CAPTIONS, problem="translation") for name in ("a", "b")
    )
    found = evaluate(ours, PARAMS).metric("bleu")
    assert found is not None
    assert (found.value, found.ci_high) == (1.0, 1.0)
    assert found.ci_low < 0.95
    headline = compare(ours, theirs, PARAMS).differences[0]
    assert headline.ci_low < 0.0 < headline.ci_high


def test_a_score_that_is_no_number_is_refused(save) -> None:
    with pytest.raises(DataError, match="30 of 30 rows have outputs that are not finite"):
        evaluate(save(TRUTH, score=float("nan")), PARAMS)


def test_no_answers_at_all_are_refused(save) -> None:
    with pytest.raises(DataError, match="predictions of 0 rows"):
        evaluate(save([], truth=[]), PARAMS)


def test_a_score_of_which_no_resample_differs_is_as_uncertain_as_a_share_of_its_rows(save) -> None:
    """No entity found, sentences without one right: F1 was 0 in [0, 0], precision 1 in [1, 1]."""
    nothing = evaluate(save([["O", "O", "O"]] * 30), PARAMS)
    half = [["B-x", "I-x", "O"], ["O", "O", "O"], ["O", "O", "O"]] * 10
    exact = evaluate(save(half, digest="other"), PARAMS)
    for report, name, ends in (
        (nothing, "entity_f1", wilson_interval(0, 20, 0.95)),  # of 30 rows 20 have an entity
        (exact, "entity_precision", wilson_interval(20, 20, 0.95)),
    ):
        found = report.metric(name)
        assert found is not None
        assert (found.ci_low, found.ci_high) == pytest.approx(ends)


def test_words_that_are_all_right_leave_room_for_one_that_is_not(save) -> None:
    found = evaluate(save(TRUTH), PARAMS).metric("token_accuracy")
    assert found is not None
    assert (found.ci_low, found.ci_high) == pytest.approx(wilson_interval(30, 30, 0.95))
