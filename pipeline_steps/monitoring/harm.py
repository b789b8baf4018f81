"""The error rate of rows without labels, guessed from how sure the model is: for ranking only.

All of it is too hopeful where rows are of a kind that the model never saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import optimize

from pipeline_steps.drift_types import EstimatedHarm
from pipeline_steps.types import Value

Array = np.ndarray[Any, Any]
_COLDEST, _HOTTEST = 0.05, 20.0
_LEAST_OF_A_LABEL = 5


class HarmModel(Value):
    """What is set on labelled rows of the reference.

    ``temperature`` is ``None`` where the model gives no probabilities; ``threshold`` is that of
    ATC on the (scaled) confidence. ``confusion[i][j]``: share of rows with truth ``labels[j]`` that
    are answered ``labels[i]``.
    """

    base_risk: float
    temperature: float | None
    threshold: float
    labels: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()
    confusion: tuple[tuple[float, ...], ...] = ()


def fit_harm_model(
    confidence: Array,
    losses: Array,
    probabilities: Array | None = None,
    answers: tuple[Sequence[str], Sequence[str], Sequence[str]] | None = None,
) -> HarmModel:
    """Return the model of the error rate, fitted on labelled rows that were not learnt from.

    Parameters
    ----------
    confidence, losses : ndarray (n,)
    probabilities : ndarray (n, n_labels), optional
    answers : tuple, optional
        Names of the labels, the truth and the prediction of each row.
    """
    temperature = None
    if probabilities is not None and answers is not None:
        temperature = _temperature(probabilities, answers[0], answers[1])
    sure = scaled_confidence(confidence, probabilities, temperature)
    risk = float(losses.mean())
    labels, shares, confusion = _confusion(*answers) if answers is not None else ((), (), ())
    return HarmModel(
        base_risk=risk,
        temperature=temperature,
        threshold=float(np.quantile(sure, risk, method="lower")),
        labels=labels,
        shares=shares,
        confusion=confusion,
    )


def estimate_harm(
    model: HarmModel,
    confidence: Array,
    probabilities: Array | None = None,
    predicted: Sequence[str] | None = None,
) -> EstimatedHarm:
    """Return the guessed error rate of rows; ``None`` for what cannot be guessed of them."""
    known = ~np.isnan(confidence)
    if not known.any():
        return EstimatedHarm(base_risk=model.base_risk)
    kept = None if probabilities is None else probabilities[known]
    sure = scaled_confidence(confidence[known], kept, model.temperature)
    scaled = model.temperature is not None and kept is not None
    return EstimatedHarm(
        base_risk=model.base_risk,
        atc=float((sure < model.threshold).mean()),
        cbpe=float(1.0 - sure.mean()) if scaled else None,
        label_mix=None if predicted is None else _label_mix(model, predicted),
    )


def scaled_confidence(
    confidence: Array, probabilities: Array | None, temperature: float | None
) -> Array:
    """Return the largest probability of each row at a temperature, or the confidence as it is."""
    if probabilities is None or temperature is None:
        return np.asarray(confidence, dtype=np.float64)
    logs = np.log(np.clip(probabilities, 1e-12, None)) / temperature
    logs -= logs.max(axis=1, keepdims=True)
    return np.asarray(1.0 / np.exp(logs).sum(axis=1))


def _temperature(probabilities: Array, labels: Sequence[str], truth: Sequence[str]) -> float | None:
    """Return the temperature under which the truth is most likely (Guo et al. 2017)."""
    places = {label: place for place, label in enumerate(labels)}
    right = np.array([places.get(label, -1) for label in truth])
    known = right >= 0
    if not known.any():
        return None
    logs = np.log(np.clip(probabilities[known], 1e-12, None))
    rows = np.arange(len(logs))

    def cost(log_temperature: float) -> float:
        scaled = logs / np.exp(log_temperature)
        scaled = scaled - scaled.max(axis=1, keepdims=True)
        total = np.log(np.exp(scaled).sum(axis=1))
        return float((total - scaled[rows, right[known]]).mean())

    bounds = (np.log(_COLDEST), np.log(_HOTTEST))
    return float(np.exp(optimize.minimize_scalar(cost, bounds=bounds, method="bounded").x))


def _confusion(
    labels: Sequence[str], truth: Sequence[str], predicted: Sequence[str]
) -> tuple[tuple[str, ...], tuple[float, ...], tuple[tuple[float, ...], ...]]:
    """Return the labels with rows enough, their shares, and answers by truth."""
    counts = dict.fromkeys(labels, 0)
    for label in truth:
        counts[label] = counts.get(label, 0) + 1
    kept = tuple(label for label in counts if counts[label] >= _LEAST_OF_A_LABEL)
    places = {label: place for place, label in enumerate(kept)}
    table = np.zeros((len(kept), len(kept)))
    for true, answer in zip(truth, predicted, strict=True):
        if true in places and answer in places:
            table[places[answer], places[true]] += 1.0
    totals = np.array([counts[label] for label in kept], dtype=np.float64)
    shares = totals / max(totals.sum(), 1.0)
    rates = table / np.maximum(totals, 1.0)
    return kept, tuple(shares.tolist()), tuple(tuple(row) for row in rates.tolist())


def _label_mix(model: HarmModel, predicted: Sequence[str]) -> float | None:
    """Return the change of the error rate by another mix of labels alone.

    The mix is the one whose expected answers are nearest to those seen (Lipton, Wang and Smola
    2018, "Detecting and correcting for label shift with black box predictors").
    """
    places = {label: place for place, label in enumerate(model.labels)}
    found = [places[label] for label in predicted if label in places]
    if not found or len(places) < 2:  # noqa: PLR2004 - one label has no mix
        return None
    seen = np.bincount(found, minlength=len(places)) / len(found)
    rates, before = np.array(model.confusion), np.array(model.shares)
    mix, _ = optimize.nnls(rates, seen)
    if not mix.sum():
        return None
    right = np.diag(rates)
    return float(((before - mix / mix.sum()) * right).sum())
