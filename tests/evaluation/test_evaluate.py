"""Reports: numbers with n and interval, slices, worst slice; undefined is never 0."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline_steps.errors import DataError
from pipeline_steps.evaluation.evaluate import evaluate
from pipeline_steps.evaluation.uncertainty import bootstrap_weights
from pipeline_steps.params import EvaluateParams

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
        if metric.name != "ece":  # the binned error is biased upwards under resampling
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


@pytest.mark.slow
def test_the_interval_covers_the_truth_as_often_as_it_says(tmp_path) -> None:
    from pipeline_steps.evaluation.evaluate import metric_values
    from pipeline_steps.evaluation.outcomes import Outcomes

    covered = 0
    for seed in range(400):
        truth, predicted = map(np.array, random_rows(200, 0.8, seed))
        rows = Outcomes(
            ("x", "y", "z"), truth, predicted, np.zeros(200), np.zeros(200), np.full(200, 0.5),
            np.zeros(200, dtype=int), 10,
        )  # fmt: skip
        accuracy = metric_values(rows, PARAMS)[0]
        covered += accuracy.ci_low <= 0.8 <= accuracy.ci_high
    assert 0.92 <= covered / 400 <= 0.98
