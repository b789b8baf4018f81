"""One set of weights out of several, or out of tuned and base, chosen on the validation rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import torch

from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.training.soup import Member, State, greedy_soup, towards_base, uniform_soup

Scores = Mapping[str, float]
Scorer = Callable[[torch.nn.Module], Scores]


def goodness(scores: Scores, params: FinetuneParams) -> float:
    """Return the score that early stopping looks at, greater being better."""
    value = scores[params.early_stopping_metric]
    return -value if params.early_stopping_metric == "loss" else value


def copied_state(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return the weights of a model as tensors of their own, on the CPU."""
    return {name: t.detach().cpu().clone() for name, t in model.state_dict().items()}


def soup_of(
    members: Sequence[Member], model: torch.nn.Module, score: Scorer, params: FinetuneParams
) -> tuple[str, ...]:
    """Return who is in the soup, after giving ``model`` its weights.

    Parameters
    ----------
    members : sequence of Member
        Runs that learnt something, two at least.
    model : Module
        A model of their kind; its weights are replaced.
    score : callable
        Validation scores of a model.
    params : FinetuneParams
        The kind of soup, and the score that counts.
    """

    def of_state(state: State) -> float:
        model.load_state_dict(state)
        return goodness(score(model), params)

    if params.combine == "uniform_soup":
        soup, names = uniform_soup(members), tuple(member.name for member in members)
    else:
        soup, names = greedy_soup(members, of_state)
    model.load_state_dict(soup)
    return names


def way_back(
    model: torch.nn.Module,
    base: State,
    head_names: Collection[str],
    score: Scorer,
    params: FinetuneParams,
) -> dict[str, Any]:
    """Return the alpha of ``finetune.wise_ft`` that was taken and the scores of all.

    The model has the interpolated weights afterwards. Of equally good ones the largest alpha, that
    is the nearest to the tuned weights, is taken.
    """
    asked = params.wise_ft
    if asked is None:
        return {}
    tuned = copied_state(model)
    found: dict[float, Scores] = {}
    for alpha in sorted(asked.alphas or (asked.alpha,), reverse=True):
        model.load_state_dict(towards_base(tuned, base, alpha, head_names))
        found[alpha] = score(model)
    best = max(found, key=lambda alpha: goodness(found[alpha], params))
    model.load_state_dict(towards_base(tuned, base, best, head_names))
    scores = {f"{alpha:g}": dict(values) for alpha, values in found.items()}
    return {"wise_ft": {"alpha": best, "scores": scores}}
