"""Scores that tell rows out of scope: higher for what the model knows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline_steps.evaluation.intervals import wilson_interval
from pipeline_steps.evaluation.metrics import softmax
from pipeline_steps.evaluation.stress.detection import (
    SCORES,
    detection_metrics,
    limits,
    separation,
)
from pipeline_steps.judging_params import EvaluateParams

PARAMS = EvaluateParams(bootstrap_resamples=200)


@given(hnp.arrays(np.float64, (6, 3), elements=st.floats(-6, 6)))
def test_scores_are_what_the_papers_say(logits) -> None:
    p = softmax(logits)
    assert np.allclose(SCORES["max_softmax"](logits), p.max(axis=1))
    assert np.allclose(SCORES["energy"](logits), np.log(np.exp(logits).sum(axis=1)))
    assert np.allclose(SCORES["entropy"](logits), (p * np.log(p)).sum(axis=1))
    assert np.allclose(SCORES["max_logit"](logits), logits.max(axis=1))


def test_a_sure_model_on_its_rows_and_an_unsure_one_on_others() -> None:
    inside = np.tile([4.0, 0.0, 0.0], (50, 1))
    found = {m.name: m for m in detection_metrics(inside, np.zeros((40, 3)), PARAMS)}
    assert len(found) == 12
    for score in SCORES:
        assert found[f"auroc_{score}"].value == 1.0
        assert found[f"aupr_out_{score}"].value == 1.0
        assert found[f"fpr95_{score}"].value == 0.0
        assert found[f"fpr95_{score}"].n == 40


def test_one_hand_made_overlap() -> None:
    """In scope 1, 2, 3, 4; out of scope 0, 3: six of eight pairs in order, one tie."""
    inside = np.array([[1.0], [2.0], [3.0], [4.0]])
    found = {m.name: m for m in detection_metrics(inside, np.array([[0.0], [3.0]]), PARAMS)}
    assert found["auroc_max_logit"].value == pytest.approx((4 + 1 + 0.5) / 8)
    # All four must be accepted to reach 95 %: the threshold is 1, and 3 passes it.
    assert found["fpr95_max_logit"].value == 0.5
    assert found["aupr_out_max_logit"].value == pytest.approx((1 + 2 / 5) / 2)
    assert found["auroc_max_logit"].ci_low <= found["auroc_max_logit"].value


def test_rows_that_look_alike_cannot_be_told_apart() -> None:
    logits = np.random.default_rng(0).normal(size=(400, 5))
    found = {m.name: m for m in detection_metrics(logits[:200], logits[200:], PARAMS)}
    for score in SCORES:
        assert found[f"auroc_{score}"].ci_low < 0.5 < found[f"auroc_{score}"].ci_high


def test_scores_that_tell_all_rows_apart_are_as_certain_as_the_rarer_kind_of_row() -> None:
    inside = np.linspace(3.0, 4.0, 50)[:, None] * np.array([1.0, 0.0])
    outside = np.linspace(0.0, 1.0, 12)[:, None] * np.array([1.0, 0.0])
    found = {m.name: m for m in detection_metrics(inside, outside, PARAMS)}
    auroc, let_in = found["auroc_max_logit"], found["fpr95_max_logit"]
    assert (auroc.ci_low, auroc.ci_high) == (wilson_interval(12, 12, 0.95)[0], 1.0)
    assert (let_in.ci_low, let_in.ci_high) == (0.0, wilson_interval(0, 12, 0.95)[1])
    precision = found["aupr_out_max_logit"]
    assert 0.0 < precision.ci_low < auroc.ci_low  # rows in scope are many
    assert precision.ci_high == 1.0


def test_the_limit_of_the_precision_is_that_of_rows_in_scope_below_all_others() -> None:
    """A share of 4,000 rows in scope below the 1,000 out of scope, as the AUROC's limit has it."""
    n = (4_000, 1_000)
    low, _ = limits("aupr_out", 1.0, n, 0.95)
    missed = 1.0 - limits("auroc", 1.0, n, 0.95)[0]
    scores = np.where(np.arange(n[0]) < missed * n[0], -1.0, 2.0)
    ones = np.ones((1, n[0])), np.ones((1, n[1]))
    told = separation(scores, np.linspace(0.0, 1.0, n[1]), ones)
    assert told["aupr_out"][0] == pytest.approx(low, abs=2e-3)
    assert told["auroc"][0] == pytest.approx(1.0 - missed, abs=1e-3)


def test_the_limit_of_the_auroc_is_below_the_truth_of_scores_that_overlap_a_little() -> None:
    generator, held, edges = np.random.default_rng(0), 0, 0
    inside, outside = (generator.normal(size=4_000) + shift for shift in (3.0, 0.0))
    ones = np.ones((1, 4_000)), np.ones((1, 4_000))
    truth = separation(inside, outside, ones)["auroc"][0]
    for _ in range(300):
        drawn = generator.choice(inside, 15), generator.choice(outside, 10)
        if drawn[0].min() > drawn[1].max():
            edges += 1
            held += limits("auroc", 1.0, (15, 10), 0.95)[0] <= truth
    assert edges > 50
    assert held == edges
