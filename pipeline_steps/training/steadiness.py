"""What keeps one attempt of a run steady: averages, the watch over its loss, smaller batches."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.stability_params import AveragingParams, EmaParams
from pipeline_steps.training.assembly import tuning_of
from pipeline_steps.training.averaging import (
    Averager,
    AveragingSchedule,
    ExponentialAverage,
    UniformAverage,
    averaged_weights,
    use_averages,
)
from pipeline_steps.training.divergence import RecoveryRule
from pipeline_steps.training.memory import BatchParts
from pipeline_steps.training.saved_state import SavedPart, SavedTensors
from pipeline_steps.training.tuning.adaptive_rank import (
    AdaptiveRank,
    RankAllocator,
    RankCallback,
    orthogonality_penalty,
)
from pipeline_steps.training.watch import LossWatch, Standing, WatchCallback

_LOG = logging.getLogger(__name__)
_AVERAGE, _RANKS = "average", "ranks"


@dataclass(frozen=True)
class Attempt:
    """What earlier attempts of the same run, in this process, have decided.

    Parameters
    ----------
    standing : Standing or None
        Whence to go on, with which rates; None: nothing went astray.
    n_parts : int
        Into how many parts each batch is cut, because the memory ran out.
    """

    standing: Standing | None = None
    n_parts: int = 1


class Steadiness:
    """Averages and watch of one attempt, and their state in its checkpoints.

    Parameters
    ----------
    params : FinetuneParams
        Which of them are asked for.
    model : Module
        What is trained.
    attempt : Attempt
        What was decided before.
    device : device
        Where the model trains.
    """

    def __init__(
        self,
        params: FinetuneParams,
        model: torch.nn.Module,
        attempt: Attempt,
        device: torch.device,
    ) -> None:
        self.model = model
        self.params = params
        self.parts = BatchParts(attempt.n_parts)
        self.averager = averager_of(params.averaging)
        self.watch: LossWatch | None = None
        self.ranks = allocator_of(params, model, device)
        self._saved: list[SavedPart] = [self.parts]
        self.callbacks: list[TrainerCallback] = []
        if params.recovery is not None:
            rule = RecoveryRule(**params.recovery.model_dump())
            self.watch = LossWatch(rule, attempt.standing)
            self._saved.append(self.watch)
            self.callbacks.append(WatchCallback(self.watch))
        if self.ranks is not None:
            self._saved.append(SavedTensors(_RANKS, self.ranks, device))
            self.callbacks.append(RankCallback(self.ranks))
        if self.averager is not None:
            self._saved.append(SavedTensors(_AVERAGE, self.averager, device))
            schedule = schedule_of(params.averaging)
            self.callbacks.append(_AverageCallback(self.averager, schedule, model))

    @property
    def rate_factor(self) -> float:
        """What the learning rates are multiplied by."""
        return 1.0 if self.watch is None else self.watch.rate_factor

    @property
    def rate_change(self) -> float:
        """What the rates of the checkpoint gone on from are multiplied by."""
        return 1.0 if self.watch is None else self.watch.rate_change

    def penalty(self) -> torch.Tensor | None:
        """Return what adaptive ranks add to the loss of a step; None: nothing."""
        if self.ranks is None or not self.ranks.settings.orthogonality:
            return None
        return self.ranks.settings.orthogonality * orthogonality_penalty(self.model)

    def validated_weights(self) -> AbstractContextManager[None]:
        """Return a context in which the model has the weights that are validated."""
        if self.averager is None:
            return nullcontext()
        return averaged_weights(self.averager, self.model.named_parameters())

    def keep_validated_weights(self, best: str | None) -> None:
        """Leave the model with the weights that were validated best.

        Parameters
        ----------
        best : str or None
            The checkpoint whose weights the model has; None: those of the last step.
        """
        if best is not None:  # what went astray later, and the batches, stay as they are now
            for part in self._saved:
                if isinstance(part, SavedTensors):
                    part.load(Path(best))
        if self.averager is not None:
            use_averages(self.averager, self.model.named_parameters())
        if self._is_unaveraged():
            _LOG.warning(
                "no average was taken before the best evaluation: the weights are kept as they "
                "were there; lower finetune.averaging.start_fraction, or train for longer"
            )

    def _is_unaveraged(self) -> bool:
        return self.averager is not None and not self.averager.averages()

    def save(self, directory: Path) -> None:
        """Write all states into a trainer's checkpoint."""
        for part in self._saved:
            part.save(directory)

    def load(self, directory: Path) -> None:
        """Go on from the states in a trainer's checkpoint."""
        for part in self._saved:
            part.load(directory)

    def described(self) -> dict[str, Any]:
        """Return what happened, for the checkpoint's metadata."""
        budget = self.parts.budget(self.params.batch_tokens, self.params.accumulation_steps)
        returns = [] if self.watch is None else list(self.watch.standing.returns)
        found = {
            "returns": returns,
            "ranks": {} if self.ranks is None else self.ranks.ranks(),
            "batches": asdict(budget) if self.parts.n_parts > 1 else {},
            "unaveraged": self._is_unaveraged(),
        }
        return {name: value for name, value in found.items() if value}


class _AverageCallback(TrainerCallback):
    """Lets an average take in the weights after the optimizer's steps that its schedule names."""

    def __init__(
        self, averager: Averager, schedule: AveragingSchedule, model: torch.nn.Module
    ) -> None:
        self.averager = averager
        self.schedule = schedule
        self.model = model

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Take in the weights; the Trainer counts the step afterwards."""
        if self.schedule.is_due(state.global_step + 1, state.max_steps):
            self.averager.step(self._named_parameters())

    def _named_parameters(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        return self.model.named_parameters()


def allocator_of(
    params: FinetuneParams, model: torch.nn.Module, device: torch.device
) -> RankAllocator | None:
    """Return what decides the ranks, where the tuning adapts them; it moves the model there."""
    tuning = tuning_of(params)
    return RankAllocator(model.to(device), tuning) if isinstance(tuning, AdaptiveRank) else None


def averager_of(params: AveragingParams | None) -> Averager | None:
    """Return the average that ``finetune.averaging`` names."""
    if params is None:
        return None
    return ExponentialAverage(params.decay) if isinstance(params, EmaParams) else UniformAverage()


def schedule_of(params: AveragingParams | None) -> AveragingSchedule:
    """Return when ``finetune.averaging`` takes in weights; an exponential average at each step."""
    if params is None or isinstance(params, EmaParams):
        return AveragingSchedule()
    return AveragingSchedule(params.start_fraction, params.every_steps)
