"""Candidate against champion on rows out of scope, held against scikit-learn and resampling."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from pipeline_steps.errors import DataError
from pipeline_steps.evaluation.pairs import compare_all
from pipeline_steps.evaluation.stress.out_of_scope_pairs import compare_out_of_scope, delong
from pipeline_steps.judging_params import EvaluateParams

PARAMS = EvaluateParams(bootstrap_resamples=100)


def scores(seed: int, shift: float, n: int = 150, m: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """Return scores with ties of rows in and out of scope, correlated between seeds' models."""
    shared = np.random.default_rng(0).standard_normal(n + m)
    own = np.random.default_rng(seed).standard_normal(n + m)
    values = np.round(shared + 0.7 * own + shift * (np.arange(n + m) < n), 1)
    return values[:n], values[n:]


def test_the_areas_are_those_of_scikit_learn() -> None:
    ours, theirs = scores(1, 1.0), scores(2, 0.8)
    mine, other, _ = delong(ours, theirs)
    truth = np.repeat([1, 0], [150, 120])
    assert mine == pytest.approx(roc_auc_score(truth, np.concatenate(ours)))
    assert other == pytest.approx(roc_auc_score(truth, np.concatenate(theirs)))


def test_the_error_of_the_difference_is_that_of_resampled_rows() -> None:
    ours, theirs = scores(1, 1.0), scores(2, 0.8)
    generator, found = np.random.default_rng(3), []
    for _ in range(1_000):
        i, j = generator.integers(0, 150, 150), generator.integers(0, 120, 120)
        found.append(
            np.subtract(*delong((ours[0][i], ours[1][j]), (theirs[0][i], theirs[1][j]))[:2])
        )
    assert delong(ours, theirs)[2] == pytest.approx(np.std(found), rel=0.1)


def test_equal_models_are_called_different_as_often_as_the_interval_says() -> None:
    missed = 0
    for seed in range(400):
        generator = np.random.default_rng(seed)
        rows = generator.standard_normal(160) + (np.arange(160) < 80)
        a, b = (rows + generator.standard_normal(160) for _ in range(2))
        mine, other, error = delong((a[:80], a[80:]), (b[:80], b[80:]))
        missed += abs(mine - other) > 1.959964 * error
    assert missed / 400 < 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)


def test_suites_are_compared_by_suite_and_out_of_scope_beside_the_clean_rows(save) -> None:
    truth, outside = [0, 1, 2] * 10, [2] * 20
    labels = ("x", "y", "foreign")

    def both(digest: str, predicted: list[int]) -> list:
        inside = [t % 2 for t in truth]
        return [
            save(inside, predicted, digest=digest, labels=labels, known=2),
            save(
                outside,
                [0] * 20,
                digest=digest,
                labels=labels,
                known=2,
                suite="outside",
                kind="out_of_scope",
            ),
        ]

    ours = both("a", [t % 2 for t in truth])
    theirs = both("b", [0] * 30)
    test, beside = compare_all(ours, theirs, PARAMS)
    assert (test.suite, test.headline) == ("test", "accuracy")
    assert (beside.suite, beside.headline, beside.n) == ("outside", "auroc_max_softmax", 20)
    assert {d.name for d in beside.differences} == {
        *("auroc_max_softmax", "auroc_max_logit", "auroc_energy", "auroc_entropy")
    }
    with pytest.raises(DataError, match="no clean rows were compared"):
        compare_all(ours[1:], theirs, PARAMS)
    other = both("c", [0] * 30)[1].model_copy(update={"dataset_digest": "other"})
    with pytest.raises(DataError, match="about different rows"):
        compare_out_of_scope((ours[0], ours[1]), (theirs[0], other), PARAMS)
