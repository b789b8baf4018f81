"""Reports: numbers with n and interval, slices, worst slice; undefined is never 0."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline_steps.errors import DataError
from pipeline_steps.evaluation.evaluate import evaluate
from pipeline_steps.evaluation.uncertainty import bootstrap_weights
from pipeline_steps.judging_params import EvaluateParams
from pipeline_steps.predictions_file import read_predictions, write_predictions

PARAMS = EvaluateParams(bootstrap_resamples=400, min_slice_rows=5)


def random_rows(n: int, accuracy: float, seed: int = 0) -> tuple[list[int], list[int]]:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 3, n)
    wrong = generator.random(n) > accuracy
    return truth.tolist(), np.where(wrong, (truth + 1) % 3, truth).tolist()


def test_every_metric_lies_inside_its_interval_and_carries_n(save) -> None:
    report = evaluate(save(*random_rows(300, 0.8)), PARAMS)
    assert {m.name for m in report.metrics} >= {"accuracy", "macro_f1", "nll", "brier", "ece"}
    for metric in report.metrics:
        assert metric.n == report.n == 300
        assert metric.ci_low is not None
        assert metric.ci_low <= metric.value <= metric.ci_high


def test_accuracy_interval_agrees_with_the_binomial_one(save) -> None:
    report = evaluate(save(*random_rows(1000, 0.8)), PARAMS)
    accuracy = report.metric("accuracy")
    half = 1.96 * np.sqrt(accuracy.value * (1 - accuracy.value) / 1000)
    assert accuracy.ci_high - accuracy.ci_low == pytest.approx(2 * half, rel=0.2)


def test_the_worst_slice_is_the_one_that_is_served_badly(save) -> None:
    truth, predicted = random_rows(200, 1.0)
    predicted = [(p + 1) % 3 if i % 2 and i < 100 else p for i, p in enumerate(predicted)]
    report = evaluate(save(truth, predicted), PARAMS)
    assert (report.worst_slice.column, report.worst_slice.value) == ("domain", "a")
    assert report.worst_slice.n == 100
    assert report.worst_slice.metrics[0].value == pytest.approx(0.5)


def test_the_same_seed_gives_the_same_report(save) -> None:
    predictions = save(*random_rows(100, 0.7))
    assert evaluate(predictions, PARAMS) == evaluate(predictions, PARAMS)


def test_top_confusions_are_the_most_frequent_mistakes(save) -> None:
    report = evaluate(save([0, 0, 0, 1, 2], [1, 1, 2, 1, 2]), PARAMS)
    assert report.confusion == (("x", "y", 2), ("x", "z", 1))


def test_no_rows_is_an_error_and_not_a_score(save) -> None:
    with pytest.raises(DataError, match="predictions of 0 rows"):
        evaluate(save([], []), PARAMS)


def test_resampled_weights_add_up_to_the_rows() -> None:
    weights = np.concatenate(list(bootstrap_weights(17, 130, seed=3)))
    assert weights.shape == (130, 17)
    assert (weights.sum(axis=1) == 17).all()


def test_the_order_of_rows_changes_nothing(save) -> None:
    truth, predicted = random_rows(150, 0.8)
    order = np.random.default_rng(1).permutation(150).tolist()
    straight = evaluate(save(truth, predicted), PARAMS)
    shuffled = evaluate(save(truth, predicted, digest="model", order=order), PARAMS)
    assert straight.predictions_digest != shuffled.predictions_digest
    same = {"predictions_digest": ""}
    assert straight.model_copy(update=same) == shuffled.model_copy(update=same)


def test_a_label_unseen_in_training_makes_the_likelihood_undefined_and_not_zero(save) -> None:
    report = evaluate(save([0, 1, 2] * 10, [0, 1, 0] * 10, known=2), PARAMS)
    nll = report.metric("nll")
    assert (nll.value, nll.ci_low, nll.ci_high) == (None, None, None)
    assert report.metric("accuracy").value == pytest.approx(2 / 3)
    assert report.metric("macro_f1").value == pytest.approx((2 / 3 + 1 + 0) / 3)


def test_a_row_that_is_there_twice_is_refused(save) -> None:
    predictions = save([0, 1, 2], [0, 1, 2], order=[0, 1, 1])
    with pytest.raises(DataError, match="1 of 3 predictions repeat an example_id"):
        evaluate(predictions, PARAMS)


def test_logits_that_are_not_finite_are_refused(save, tmp_path) -> None:
    table = read_predictions(save([0, 1], [0, 1]))
    broken = replace(table, logits=np.where([[True], [False]], np.nan, table.logits))
    predictions = write_predictions(
        tmp_path / "broken.parquet", broken, checkpoint_digest="m", dataset_digest="d",
        suite="test", kind="clean",
    )  # fmt: skip
    with pytest.raises(DataError, match="1 of 2 rows have outputs that are not finite"):
        evaluate(predictions, PARAMS)


def test_slices_with_few_rows_and_columns_with_one_value_are_left_out(save) -> None:
    few = evaluate(save(*random_rows(8, 1.0)), PARAMS)  # two domains of four rows each
    assert few.slices == ()
    assert few.worst_slice is None
    enough = evaluate(save(*random_rows(10, 1.0)), PARAMS)
    assert [(part.column, part.n) for part in enough.slices] == [("domain", 5), ("domain", 5)]
