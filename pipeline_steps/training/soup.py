"""Averages across runs, after training: model soups, and a way back towards the base (WiSE-FT)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import torch

from pipeline_steps.errors import TrainingError

State = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Member:
    """The weights of one run.

    Parameters
    ----------
    name : str
        Stands in errors.
    labels : tuple of str
        The labels in the order of the logits.
    state : mapping of str to Tensor
        Content of the checkpoint's safetensors file.
    """

    name: str
    labels: tuple[str, ...]
    state: State


def uniform_soup(members: Sequence[Member]) -> dict[str, torch.Tensor]:
    """Return the mean of the weights of all members, which must have started from one base.

    Raises
    ------
    TrainingError
        If there are fewer than two, or they differ in labels, names or shapes.

    References
    ----------
    Wortsman et al. (2022). Model soups: averaging weights of multiple fine-tuned models improves
    accuracy without increasing inference time. ICML.
    """
    _refuse_lone(members)
    for member in members[1:]:
        refuse_other_kind(members[0], member)
    share = 1 / len(members)
    return _combined([(share, member.state) for member in members])


def greedy_soup(
    members: Sequence[Member], score: Callable[[State], float]
) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    """Return the soup that takes in a member only if it then scores no worse, and who is in it.

    Parameters
    ----------
    members : sequence of Member
        The candidates.
    score : callable
        Score of weights on held-out rows, greater being better. It is called once for each member
        alone, and once for each trial.

    Raises
    ------
    TrainingError
        If there are fewer than two, or they differ in labels, names or shapes.

    References
    ----------
    Wortsman et al. (2022), recipe 1.
    """
    _refuse_lone(members)
    for member in members[1:]:
        refuse_other_kind(members[0], member)
    scored = [(score(member.state), member) for member in members]
    scored.sort(key=lambda pair: -pair[0])
    best, first = scored[0]
    chosen, soup = [first], dict(first.state)
    for _, member in scored[1:]:
        trial = uniform_soup([*chosen, member])
        reached = score(trial)
        if reached >= best:
            chosen, best, soup = [*chosen, member], reached, trial
    return soup, tuple(member.name for member in chosen)


def towards_base(
    tuned: State, base: State, alpha: float, head_names: Collection[str]
) -> dict[str, torch.Tensor]:
    """Return ``(1 - alpha) * base + alpha * tuned``; the head, which the base lacks, stays tuned.

    In between, models were found to keep most of what tuning gained and to be steadier under shift.

    Parameters
    ----------
    tuned, base : mapping of str to Tensor
        Weights under the same names; those of the head may be missing from ``base``.
    alpha : float
        From 0 (the base under the tuned head) to 1 (the tuned model).
    head_names : collection of str
        Names of the parameters that the base lacked.

    Raises
    ------
    TrainingError
        If alpha is outside of [0, 1], or names or shapes differ outside the head.

    References
    ----------
    Wortsman et al. (2022). Robust fine-tuning of zero-shot models. CVPR. Its head is built from
    texts and interpolated too; a new random head has nothing to interpolate with.
    """
    if not 0 <= alpha <= 1:
        raise TrainingError(
            f"alpha is {alpha}",
            expected="a number from 0 to 1",
            fix="correct finetune.wise_ft.alpha in params.yaml",
        )
    body = {name: tensor for name, tensor in tuned.items() if name not in head_names}
    below = {name: tensor for name, tensor in base.items() if name not in head_names}
    _refuse_other_tensors("the base", below, "the tuned model", body)
    head = {name: tensor for name, tensor in tuned.items() if name in head_names}
    return {**_combined([(1 - alpha, below), (alpha, body)]), **head}


def refuse_other_kind(first: Member, second: Member) -> None:
    """Refuse two members whose weights or logits do not mean the same.

    Raises
    ------
    TrainingError
        If they differ in labels, names or shapes.
    """
    if first.labels != second.labels:
        raise TrainingError(
            f"{first.name} has the labels {', '.join(first.labels)}; "
            f"{second.name} has {', '.join(second.labels)}",
            expected="the same labels in the same order",
            fix="train both on the same training rows",
        )
    _refuse_other_tensors(first.name, first.state, second.name, second.state)


def _combined(parts: Sequence[tuple[float, State]]) -> dict[str, torch.Tensor]:
    """Return the weighted sum of states, summed in fp64 so that equal ones give themselves."""
    first = parts[0][1]
    return {name: _weighted([(share, state[name]) for share, state in parts]) for name in first}


def _weighted(parts: Sequence[tuple[float, torch.Tensor]]) -> torch.Tensor:
    first = parts[0][1]
    if not first.is_floating_point():  # a table of positions: the same in all members
        return first
    total = sum((share * tensor.double() for share, tensor in parts), start=torch.zeros(()))
    return total.to(first.dtype)


def _refuse_lone(members: Sequence[Member]) -> None:
    if len(members) < 2:  # noqa: PLR2004 - a mean of one is no soup
        raise TrainingError(
            f"a soup of {len(members)} member(s)",
            expected="at least two checkpoints of the same base",
            fix="name more checkpoints, for example of other seeds",
        )


def _refuse_other_tensors(one: str, first: State, other: str, second: State) -> None:
    shapes = [{name: tuple(t.shape) for name, t in state.items()} for state in (first, second)]
    differing = sorted(
        name
        for name in shapes[0].keys() | shapes[1].keys()
        if shapes[0].get(name) != shapes[1].get(name)
    )
    if differing:
        name = differing[0]
        raise TrainingError(
            f"{len(differing)} weights of {one} and {other} do not fit each other, for example "
            f"{name}: {shapes[0].get(name)} and {shapes[1].get(name)}",
            expected="weights of the same names and shapes",
            fix="use checkpoints that were fine-tuned from the same base model",
        )
