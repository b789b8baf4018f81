"""Scores that tell rows out of scope: higher for what the model knows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline_steps.evaluation.metrics import softmax
from pipeline_steps.evaluation.stress.detection import SCORES, detection_metrics
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
