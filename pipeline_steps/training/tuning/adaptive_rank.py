"""AdaLoRA: ranks are taken from the matrices that need them least while training goes on.

The layers are peft's. Who keeps which rank is decided here, because peft's allocator is called by
nobody under a Trainer, keeps no state that a resumed run could go on from, and writes checkpoints
of a shape that cannot be loaded into the running model once it has decided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from transformers import TrainerCallback

from pipeline_steps.errors import TrainingError
from pipeline_steps.training.tuning.low_rank import chosen_targets, merged, wrapped
from pipeline_steps.training.tuning.targets import head_modules

_SMOOTHING = 0.85  # both of the sensitivity and of its uncertainty, as the authors chose


@dataclass(frozen=True)
class AdaptiveRank:
    """Low-rank adaptation whose ranks shrink to where they matter (Zhang et al. 2023).

    Parameters
    ----------
    initial_rank : int
        Rank of every matrix at the start; the authors took 1.5 times ``target_rank``.
    target_rank : int
        Mean rank at the end.
    alpha : int
        Scale of the update.
    dropout : float
        Share of inputs dropped before the update, while training.
    target_modules : tuple of str or "all-linear" or None
        Last parts of the names of the matrices to adapt, or all but the head's; None: the
        attention's query and value.
    warm_share, final_share : float
        Shares of the steps before the first rank is taken, and after the last.
    interval : int
        Steps from one taking to the next.
    orthogonality : float
        Weight of :func:`orthogonality_penalty` in the loss; the authors took 0.1 to 0.5.
    seed : int
        Same seed, same initial update.

    References
    ----------
    Zhang et al. (2023). AdaLoRA: Adaptive budget allocation for parameter-efficient fine-tuning.
    ICLR, equations 8-12.
    """

    initial_rank: int = 12
    target_rank: int = 8
    alpha: int = 32
    dropout: float = 0.0
    target_modules: tuple[str, ...] | str | None = None
    warm_share: float = 0.1
    final_share: float = 0.5
    interval: int = 10
    orthogonality: float = 0.1
    seed: int = 0

    def apply(self, model: torch.nn.Module, head_names: Sequence[str]) -> torch.nn.Module:
        """Return the model with adapters in its target modules.

        Raises
        ------
        TrainingError
            If the model has none of the target modules, keeps its weights transposed, or the ranks
            would grow.
        """
        from peft import AdaLoraConfig

        targets = chosen_targets(model, self.target_modules, head_names)
        _refuse_transposed(model, targets)
        self._refuse_growth()
        config = AdaLoraConfig(
            init_r=self.initial_rank,
            target_r=self.target_rank,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            target_modules=targets,
            modules_to_save=head_modules(head_names),
            total_step=1,  # peft wants a number; its own allocator is never called
        )
        return wrapped(model, config, self.seed)

    def finish(self, model: torch.nn.Module) -> torch.nn.Module:
        """Return the plain model with the updates folded into its weights."""
        return merged(model)

    def _refuse_growth(self) -> None:
        if self.target_rank > self.initial_rank:
            raise TrainingError(
                f"a target rank of {self.target_rank} over an initial one of {self.initial_rank}",
                expected="ranks that shrink",
                fix="raise finetune.tuning.initial_rank, or lower target_rank",
            )


class Triplet(NamedTuple):
    """The parts of one update: left (out, r), values (r, 1), right (r, in)."""

    left: torch.nn.Parameter
    values: torch.nn.Parameter
    right: torch.nn.Parameter


class RankAllocator:
    """Keeps the most important singular values of all matrices together, within a budget.

    The importance of a value is its own and the mean of its vectors', each a smoothed
    ``|weight * gradient|`` times the smoothed deviation from it.

    Parameters
    ----------
    model : Module
        From :meth:`AdaptiveRank.apply`.
    settings : AdaptiveRank
        Ranks and schedule.
    """

    def __init__(self, model: torch.nn.Module, settings: AdaptiveRank) -> None:
        self.settings = settings
        self.triplets = _triplets(model)
        self.first_budget = settings.initial_rank * len(self.triplets)
        self.last_budget = settings.target_rank * len(self.triplets)
        self._sensitivity = self._zeros()
        self._uncertainty = self._zeros()
        self._kept = {
            name: torch.ones(len(triplet.values), dtype=torch.bool, device=triplet.values.device)
            for name, triplet in self.triplets.items()
        }

    def update(self, step: int, total_steps: int) -> None:
        """Take ranks after an optimizer step, while its gradients are still there.

        Parameters
        ----------
        step : int
            Number of the step just made; the first is 1.
        total_steps : int
            Steps of the whole run.
        """
        warm, end = self._phases(total_steps)
        if step < end:
            self._observe()
        due = step % self.settings.interval == 0
        if step == end or (warm < step < end and due):
            self._keep(self.budget(step, total_steps))
        if step >= end or (warm < step and due):
            self._apply_mask()

    def budget(self, step: int, total_steps: int) -> int:
        """Return how many singular values may remain at a step; it falls as a cubic."""
        warm, end = self._phases(total_steps)
        if step <= warm:
            return self.first_budget
        left = max(0.0, 1 - (step - warm) / (end - warm))
        return int(self.last_budget + (self.first_budget - self.last_budget) * left**3)

    def ranks(self) -> dict[str, int]:
        """Return the number of singular values that each matrix keeps."""
        return {name: int(kept.sum()) for name, kept in self._kept.items()}

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return all that a resumed run needs, as plain tensors."""
        parts = {"sensitivity": self._sensitivity, "uncertainty": self._uncertainty}
        state = {f"{part}/{name}": t for part, ts in parts.items() for name, t in ts.items()}
        return {**state, **{f"kept/{name}": kept for name, kept in self._kept.items()}}

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from a state.

        Raises
        ------
        TrainingError
            If it is that of another model.
        """
        own = self.state_dict()
        if {n: t.shape for n, t in own.items()} != {n: t.shape for n, t in state.items()}:
            raise TrainingError(
                "a rank allocation that is not of this model",
                expected="the state that was saved with the model's checkpoint",
                fix="remove the work directory of the run and start it again",
            )
        for name, tensor in own.items():
            tensor.copy_(state[name])

    def _phases(self, total_steps: int) -> tuple[int, int]:
        warm = int(self.settings.warm_share * total_steps)
        return warm, max(warm + 1, total_steps - int(self.settings.final_share * total_steps))

    def _zeros(self) -> dict[str, torch.Tensor]:
        return {
            f"{name}/{part}": torch.zeros_like(tensor, requires_grad=False)
            for name, triplet in self.triplets.items()
            for part, tensor in triplet._asdict().items()
        }

    @torch.no_grad()
    def _observe(self) -> None:
        for name, triplet in self.triplets.items():
            for part, tensor in triplet._asdict().items():
                gradient = torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
                now = (tensor * gradient).abs()
                mean, spread = (
                    kept[f"{name}/{part}"] for kept in (self._sensitivity, self._uncertainty)
                )
                mean.mul_(_SMOOTHING).add_(now, alpha=1 - _SMOOTHING)
                spread.mul_(_SMOOTHING).add_((now - mean).abs(), alpha=1 - _SMOOTHING)

    def _keep(self, budget: int) -> None:
        importance = torch.cat([self._importance(name) for name in self.triplets])
        kept = torch.zeros_like(importance, dtype=torch.bool)
        kept[importance.argsort(descending=True, stable=True)[:budget]] = True
        start = 0
        for mask in self._kept.values():
            mask.copy_(kept[start : start + len(mask)])
            start += len(mask)

    def _importance(self, name: str) -> torch.Tensor:
        scores = {
            part: self._sensitivity[f"{name}/{part}"] * self._uncertainty[f"{name}/{part}"]
            for part in Triplet._fields
        }
        return scores["values"][:, 0] + scores["left"].mean(0) + scores["right"].mean(1)

    @torch.no_grad()
    def _apply_mask(self) -> None:
        for name, triplet in self.triplets.items():
            triplet.values.mul_(self._kept[name][:, None])


class RankCallback(TrainerCallback):
    """Tells the allocator of every optimizer step of a Trainer.

    Parameters
    ----------
    allocator : RankAllocator
        Its state belongs into the trainer's checkpoints.
    """

    def __init__(self, allocator: RankAllocator) -> None:
        self.allocator = allocator

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Take ranks; the Trainer has stepped, and counts the step afterwards."""
        self.allocator.update(state.global_step + 1, state.max_steps)


def orthogonality_penalty(model: torch.nn.Module) -> torch.Tensor:
    """Return the mean distance of the updates' vectors from orthonormal ones.

    The authors add it to the loss with a weight of 0.1 to 0.5; peft does so only where the model
    itself computes the loss.
    """
    distances = [
        torch.linalg.matrix_norm(product - torch.eye(len(product), device=product.device))
        for triplet in _triplets(model).values()
        for product in (triplet.left.T @ triplet.left, triplet.right @ triplet.right.T)
    ]
    return torch.stack(distances).mean()


def _triplets(model: torch.nn.Module) -> dict[str, Triplet]:
    return {
        name: Triplet(*(getattr(module, f"lora_{part}")["default"] for part in "BEA"))
        for name, module in model.named_modules()
        if hasattr(module, "lora_E") and len(module.lora_E)
    }


def _refuse_transposed(model: torch.nn.Module, targets: Sequence[str]) -> None:
    modules = dict(model.named_modules())
    if not all(isinstance(modules[name], torch.nn.Linear) for name in targets):
        raise TrainingError(
            f"adaptive ranks for {type(model).__name__}, which keeps its weights transposed",
            expected="a base model of torch.nn.Linear layers",
            fix="set finetune.tuning.kind to lora",
        )
