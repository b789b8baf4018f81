"""The fastest precision of a loaded model whose answers are those of fp32 on rows held back.

bf16 casts the weights of the linear layers once: autocast alone casts all of them again in each
forward pass, to the same numbers. int8 is dynamic quantisation of the linear layers, weights by
output channel, inputs by tensor (torch.ao.quantization): its scales, and so its answers, depend on
the rows of a batch, so rows are asked alone as well.
"""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from pipeline_steps.inference.predictor import Predictor

FEWEST_ROWS, MOST_ROWS = 100, 500
_ALONE = 50
_TIMED = 64
_ROUNDS = 3
_WORTH_IT = 1.1
_SCORES = ("score", "scores")
_FP32 = "fp32"
Requests = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class PrecisionChoice:
    """Which precision answers, and why.

    ``changed`` counts, by precision, the rows whose answer is not that of fp32; ``speedup`` is
    how many times as fast as fp32 it is on the first of them.
    """

    precision: str
    reason: str
    n_rows: int = 0
    changed: Mapping[str, int] | None = None
    speedup: Mapping[str, float] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the fields that have a value."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def fastest_equal(predictor: Predictor, held: Requests) -> tuple[Predictor, PrecisionChoice]:
    """Return the model in the fastest precision that changes no answer, and what was measured.

    Parameters
    ----------
    predictor : Predictor
        In fp32.
    held : sequence
        Requests that the model did not learn from; at most 500 are asked. Of 500 rows without
        a change it follows, at 95 % confidence, that fewer than 0.6 % of such rows change.
    """
    held = held[:MOST_ROWS]
    if len(held) < FEWEST_ROWS:
        reason = f"{len(held)} rows are held back, and {FEWEST_ROWS} are needed to compare answers"
        return predictor, PrecisionChoice(_FP32, reason, len(held))
    loaded = {_FP32: predictor, **_others(predictor)}
    expected = _answers(predictor, held)
    changed = {
        name: sum(a != b for a, b in zip(_answers(other, held), expected, strict=True))
        for name, other in loaded.items()
        if name != _FP32
    }
    speedup = _speedups(loaded, held[:_TIMED])
    fit = [name for name in changed if not changed[name] and speedup[name] >= _WORTH_IT]
    best = max(fit, key=lambda name: speedup[name], default=_FP32)
    reason = (
        f"the fastest that changes no answer and is {_WORTH_IT} times as fast as fp32"
        if fit
        else f"nothing else changes no answer and is {_WORTH_IT} times as fast"
    )
    return loaded[best], PrecisionChoice(best, reason, len(held), changed, speedup)


def in_precision(predictor: Predictor, precision: str) -> Predictor:
    """Return a predictor with a model of its own in bf16 or int8, or in fp32 the same one."""
    if precision == _FP32:
        return predictor
    changed = copy.copy(predictor)
    changed.precision = precision
    model = copy.deepcopy(predictor.model)
    changed.model = _quantised(model) if precision == "int8" else _cast(model)
    return changed


def _others(predictor: Predictor) -> dict[str, Predictor]:
    on_cpu = next(predictor.model.parameters()).device.type == "cpu"
    names = ("bf16", "int8") if on_cpu else ("bf16",)
    return {name: in_precision(predictor, name) for name in names}


def _cast(model: torch.nn.Module) -> torch.nn.Module:
    """Return the model with linear weights in bf16; a weight that is shared is cast beside it."""
    for layer in model.modules():
        if isinstance(layer, torch.nn.Linear):
            for name, values in list(layer.named_parameters(recurse=False)):
                cast = torch.nn.Parameter(values.detach().bfloat16(), requires_grad=False)
                setattr(layer, name, cast)
    return model


def _quantised(model: torch.nn.Module) -> torch.nn.Module:
    from torch.ao.quantization import per_channel_dynamic_qconfig, quantize_dynamic

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it moves to torchao, which is a library of its own
        quantised: torch.nn.Module = quantize_dynamic(  # type: ignore[no-untyped-call]
            model, {torch.nn.Linear: per_channel_dynamic_qconfig}, inplace=True
        )
    return quantised


def _answers(predictor: Predictor, held: Requests) -> list[list[dict[str, Any]]]:
    """Return what each row is answered without its scores: with all others, and some alone."""
    found = [[_unscored(answer)] for answer in predictor.answer(held)]
    for request, answers in zip(held[:_ALONE], found, strict=False):
        answers.extend(map(_unscored, predictor.answer([request])))
    return found


def _unscored(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in _SCORES}


def _speedups(loaded: Mapping[str, Predictor], held: Requests) -> dict[str, float]:
    """Return how many times as fast as fp32 each is; in turns, the best of some rounds."""
    best = dict.fromkeys(loaded, float("inf"))
    for _ in range(_ROUNDS):
        for name, predictor in loaded.items():
            began = time.perf_counter()
            predictor.answer(held)
            best[name] = min(best[name], time.perf_counter() - began)
    return {name: round(best[_FP32] / best[name], 2) for name in loaded if name != _FP32}
