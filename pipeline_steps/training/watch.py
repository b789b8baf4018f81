"""Watches the loss of every optimizer step, and says where to go on when it has gone astray."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from pipeline_steps.errors import TrainingError
from pipeline_steps.training.divergence import (
    Continue,
    GiveUp,
    LossState,
    RecoveryRule,
    RecoveryState,
    after_checkpoint,
    after_loss,
)
from pipeline_steps.training.saved_state import read_json, write_json

_FILE = "recovery"
_JUDGED_AT_ONCE = 16  # losses fetched from an accelerator together, to keep it busy
FIX = (
    "lower finetune.learning_rate and finetune.head_learning_rate, raise finetune.warmup_fraction, "
    "or set finetune.precision to fp32"
)


@dataclass(frozen=True)
class Standing:
    """Where a run stands, and the returns that brought it there.

    Parameters
    ----------
    recovery : RecoveryState
        Losses, rates, the last good checkpoint.
    returns : tuple of dict
        Of each return: ``step`` (where it was noticed), ``to`` (the checkpoint), ``reason`` and
        ``rate_factor`` (what the rates are multiplied by from then on).
    """

    recovery: RecoveryState = field(default_factory=RecoveryState)
    returns: tuple[dict[str, Any], ...] = ()

    @classmethod
    def from_json(cls, value: Any) -> Standing:
        """Return what ``asdict`` made JSON of."""
        losses = LossState(**value["recovery"].pop("losses"))
        return cls(RecoveryState(losses=losses, **value["recovery"]), tuple(value["returns"]))

    def wanted_step(self) -> int:
        """Return up to which step a checkpoint may be gone on from.

        It is the last good one; if the return before this one led there too, its weights were
        spoilt already, and an earlier one is wanted.
        """
        good = self.recovery.good_step
        again = len(self.returns) > 1 and self.returns[-2]["to"] == good
        return good - 1 if again else good

    def returned_to(self, step: int) -> Standing:
        """Return the same with the checkpoint that it really goes on from."""
        last = {**self.returns[-1], "to": step}
        state = replace(self.recovery, good_step=step)
        return Standing(state, (*self.returns[:-1], last))


class AstrayError(TrainingError):
    """The run must go on from an earlier checkpoint.

    Parameters
    ----------
    standing : Standing
        Whence and how.
    """

    def __init__(self, message: str, standing: Standing) -> None:
        super().__init__(message, expected="a finite loss that does not explode", fix=FIX)
        self.standing = standing


class DivergedError(TrainingError):
    """The loss went astray and nothing is left to try."""


class LossWatch:
    """Judges the loss of every optimizer step before its gradients reach the weights.

    On an accelerator losses are fetched sixteen at a time: weights may then have been spoilt, which
    a return to a checkpoint undoes.

    Parameters
    ----------
    rule : RecoveryRule
        When to return and how often.
    decided : Standing, optional
        What an earlier attempt of this run decided; it holds where this one goes on from the
        checkpoint that was named then.
    """

    def __init__(self, rule: RecoveryRule, decided: Standing | None = None) -> None:
        self.rule = rule
        self.standing = decided or Standing()
        self.rate_change = 1.0
        self._decided = decided
        self._losses: list[torch.Tensor] = []
        self._first = 0
        self._step: torch.Tensor | None = None

    @property
    def rate_factor(self) -> float:
        """What the learning rates are multiplied by now."""
        return self.standing.recovery.rate_factor

    def add(self, loss: torch.Tensor) -> None:
        """Take in the loss of a batch as its share of the step."""
        self._step = loss if self._step is None else self._step + loss

    def end_step(self, step: int) -> None:
        """Judge the step with the number ``step``, if enough are waiting.

        Raises
        ------
        AstrayError
            If the run is to return to a checkpoint.
        DivergedError
            If it is to be given up.
        """
        if self._step is None:
            return
        if not self._losses:
            self._first = step
        self._losses.append(self._step)
        self._step = None
        if self._losses[0].device.type == "cpu" or len(self._losses) >= _JUDGED_AT_ONCE:
            self._judge()

    def before_checkpoint(
        self, step: int, parameters: Iterable[torch.Tensor], valid_loss: float
    ) -> None:
        """Judge what is waiting, and whether weights and validation loss are numbers.

        Raises
        ------
        AstrayError
            If the run is to return to a checkpoint.
        DivergedError
            If it is to be given up.
        """
        self._judge()
        learning = [p.detach() for p in parameters if p.requires_grad]
        sound = all(bool(torch.isfinite(tensor).all()) for tensor in learning)
        if not sound or not math.isfinite(valid_loss):
            self._take(step, float("nan"))
        self.standing = replace(self.standing, recovery=after_checkpoint(self._state, step))

    def save(self, directory: Path) -> None:
        """Write the standing into a checkpoint."""
        write_json(directory, _FILE, asdict(self.standing))

    def load(self, directory: Path) -> None:
        """Go on from the standing in a checkpoint, or from what was decided to do from it."""
        saved = Standing.from_json(read_json(directory, _FILE))
        step = int(directory.name.rpartition("-")[2])
        decided = self._decided
        if decided is None or decided.recovery.good_step != step:
            self.standing = saved
            return
        self.standing = decided
        self.rate_change = decided.recovery.rate_factor / saved.recovery.rate_factor

    @property
    def _state(self) -> RecoveryState:
        return self.standing.recovery

    def _judge(self) -> None:
        if self._losses:
            values = torch.stack(self._losses).tolist()
            self._losses = []
            for index, value in enumerate(values):
                self._take(self._first + index, value)

    def _take(self, step: int, loss: float) -> None:
        state, action = after_loss(self._state, loss, self.rule)
        if isinstance(action, Continue):
            self.standing = replace(self.standing, recovery=state)
            return
        found = f"the loss is {loss:.4g} at step {step}"
        if isinstance(action, GiveUp):
            raise DivergedError(
                f"{found}, after {action.n_returns} return(s) to an earlier checkpoint with rates "
                f"down to {state.rate_factor:g} times those that were asked for",
                expected="a finite loss that does not explode",
                fix=FIX,
            )
        event = {
            "step": step,
            "to": action.step,
            "reason": action.reason,
            "rate_factor": action.rate_factor,
        }
        raise AstrayError(found, Standing(state, (*self.standing.returns, event)))


class WatchCallback(TrainerCallback):
    """Tells the watch that a step's gradients are complete and not yet applied."""

    def __init__(self, watch: LossWatch) -> None:
        self.watch = watch

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Judge the step."""
        self.watch.end_step(state.global_step)


def scale_rates(optimizer: Any, scheduler: Any, factor: float) -> None:
    """Multiply the rates of an optimizer and of its schedule, now and from now on."""
    for group in optimizer.param_groups:
        for name in ("lr", "initial_lr"):
            group[name] = group[name] * factor
    scheduler.base_lrs = [rate * factor for rate in scheduler.base_lrs]
