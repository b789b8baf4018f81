"""Churn between two versions: who was right before, who is right now."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline_steps.comparison_types import PairedComparison
from pipeline_steps.evaluation.compare import compare
from pipeline_steps.evaluation.reading import read_scored
from pipeline_steps.evaluation.stress.churn import churn
from pipeline_steps.judging_params import EvaluateParams

PARAMS = EvaluateParams(bootstrap_resamples=50)


def churned(save, truth, old, new):
    a, b = (save(truth, p, digest=name) for p, name in ((new, "new"), (old, "old")))
    return churn(read_scored(a, PARAMS)[1], read_scored(b, PARAMS)[1], 0.95)


def test_six_rows_by_hand(save) -> None:
    found = churned(save, [0, 0, 1, 1, 2, 2], old=[0, 0, 0, 0, 0, 1], new=[0, 1, 1, 0, 1, 1])
    assert found.churn.value == pytest.approx(3 / 6)
    assert found.negative_flips.value == pytest.approx(1 / 6)
    assert found.positive_flips.value == pytest.approx(1 / 6)
    assert (found.n_both_right, found.n_both_wrong, found.n_both_wrong_differently) == (1, 3, 1)
    assert [(c.label, c.n, c.n_changed, c.n_lost) for c in found.labels] == [
        ("x", 2, 1, 1), ("y", 2, 1, 0), ("z", 2, 1, 0),
    ]  # fmt: skip
    assert found.flips == (("x", "y", 3),)


def test_the_same_version_does_not_churn_and_the_interval_says_how_sure_that_is(save) -> None:
    found = churned(save, [0, 1] * 10, [0, 1] * 10, [0, 1] * 10)
    assert (found.churn.value, found.churn.ci_low) == (0.0, 0.0)
    assert found.churn.ci_high == pytest.approx(0.161, abs=0.001)
    assert found.labels == found.flips == ()


@pytest.mark.parametrize("seed", range(5))
def test_the_parts_add_up(save, seed) -> None:
    truth, old, new = np.random.default_rng(seed).integers(0, 3, (3, 25)).tolist()
    found = churned(save, truth, old, new)
    n = found.n
    flips = (found.negative_flips.value + found.positive_flips.value) * n
    assert found.n_both_right + found.n_both_wrong + round(flips) == n
    assert round(found.churn.value * n) == round(flips) + found.n_both_wrong_differently
    assert sum(c.n_changed for c in found.labels) == round(found.churn.value * n)
    assert sum(c.n_lost for c in found.labels) == round(found.negative_flips.value * n)


def test_a_comparison_carries_the_churn_and_its_net_is_the_difference(save) -> None:
    new, old = save([0, 1, 2, 0], [0, 1, 2, 1]), save([0, 1, 2, 0], [0, 0, 1, 0], digest="old")
    compared = compare(new, old, PARAMS)
    accuracy = next(d for d in compared.differences if d.name == "accuracy")
    net = compared.churn.positive_flips.value - compared.churn.negative_flips.value
    assert net == pytest.approx(accuracy.difference)


def test_an_old_comparison_without_churn_still_loads(save) -> None:
    new, old = save([0, 1], [0, 1]), save([0, 1], [0, 0], digest="old")
    content = compare(new, old, PARAMS).model_dump(mode="json")
    del content["churn"]
    assert PairedComparison.model_validate(content).churn is None


def test_a_model_with_other_labels_is_compared_by_name(save) -> None:
    """The new model does not know the third label: its places mean the same names."""
    new = save([0, 1, 1], [0, 1, 1], known=2)
    old = save([0, 1, 1], [0, 1, 2], digest="old")
    found = churn(read_scored(new, PARAMS)[1], read_scored(old, PARAMS)[1], 0.95)
    assert found.flips == (("z", "y", 1),)
