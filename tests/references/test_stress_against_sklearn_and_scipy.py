"""Detection, temperatures and calibration errors are those of scikit-learn and scipy."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn import metrics as reference

from pipeline_steps.evaluation.stress.detection import separation
from pipeline_steps.evaluation.stress.temperature import fit_temperature

# Few different scores: ties are common.
scores = hnp.arrays(float, st.integers(1, 30), elements=st.integers(-4, 4).map(float))


def as_weights(n: int) -> np.ndarray:
    return np.ones((1, n))


@given(scores, scores)
def test_auroc_and_average_precision(inside, outside) -> None:
    ours = separation(inside, outside, (as_weights(len(inside)), as_weights(len(outside))))
    foreign = np.concatenate([np.zeros(len(inside)), np.ones(len(outside))])
    looks_foreign = -np.concatenate([inside, outside])
    assert np.isclose(ours["auroc"][0], reference.roc_auc_score(foreign, looks_foreign))
    assert np.isclose(
        ours["aupr_out"][0], reference.average_precision_score(foreign, looks_foreign)
    )


@given(scores, scores)
def test_false_positives_where_95_percent_are_accepted(inside, outside) -> None:
    ours = separation(inside, outside, (as_weights(len(inside)), as_weights(len(outside))))
    ours_in = np.concatenate([np.ones(len(inside)), np.zeros(len(outside))])
    fpr, tpr, _ = reference.roc_curve(
        ours_in, np.concatenate([inside, outside]), drop_intermediate=False
    )
    assert np.isclose(ours["fpr95"][0], fpr[tpr >= 0.95 - 1e-12].min())


@given(scores, scores, st.integers(0, 99))
def test_a_weight_counts_as_a_row_that_stands_as_often(inside, outside, seed) -> None:
    generator = np.random.default_rng(seed)
    times = [generator.integers(0, 3, len(s)) for s in (inside, outside)]
    times = [t + (t.sum() == 0) for t in times]
    weighted = separation(inside, outside, tuple(t[None].astype(float) for t in times))
    repeated = [np.repeat(s, t) for s, t in zip((inside, outside), times, strict=True)]
    plain = separation(*repeated, tuple(as_weights(len(s)) for s in repeated))
    assert all(np.isclose(weighted[name][0], plain[name][0]) for name in plain)


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.floats(0.3, 4.0))
def test_the_temperature_is_that_of_a_general_optimizer(seed, sharpness) -> None:
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(200, 4))
    truth = (logits + generator.gumbel(size=logits.shape)).argmax(axis=1)

    def loss(log_temperature: float) -> float:
        logs = log_softmax(sharpness * logits / np.exp(log_temperature), axis=1)
        return float(-logs[np.arange(200), truth].mean())

    theirs = minimize_scalar(loss, bounds=(-4, 4), method="bounded", options={"xatol": 1e-10})
    found = fit_temperature(sharpness * logits, truth, 0.95)
    assert np.isclose(found.value, np.exp(theirs.x), rtol=1e-4)
