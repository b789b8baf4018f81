"""Averages of the weights along a run: exponential (EMA) and uniform (SWA).

They hold the parameters that learn and nothing else: beside a LoRA a few megabytes, not a second
backbone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch

from pipeline_steps.errors import TrainingError

NamedParameters = Iterable[tuple[str, torch.nn.Parameter]]
_COUNT, _AVERAGE = "n_steps", "average/"


class Averager(Protocol):
    """A running average of the weights."""

    def step(self, named_parameters: NamedParameters) -> None:
        """Take in the weights after an optimizer step."""
        ...

    def averages(self) -> dict[str, torch.Tensor]:
        """Return the averaged weights by name."""
        ...

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return all that a resumed run needs, as plain tensors."""
        ...

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from a state."""
        ...


@dataclass(frozen=True)
class AveragingSchedule:
    """The steps after which weights are taken in.

    Parameters
    ----------
    start_fraction : float
        Share of the steps before the first taking.
    every_steps : int
        Steps from one taking to the next.

    Examples
    --------
    >>> [step for step in range(1, 11) if AveragingSchedule(0.5, 2).is_due(step, 10)]
    [5, 7, 9]
    """

    start_fraction: float = 0.0
    every_steps: int = 1

    def is_due(self, step: int, total_steps: int) -> bool:
        """Return whether the weights after step ``step`` (the first is 1) are taken in."""
        since = step - max(1, int(self.start_fraction * total_steps))
        return since >= 0 and since % self.every_steps == 0


class _RunningAverage:
    """Averages in fp32, whatever the weights are stored in."""

    def __init__(self) -> None:
        self.n_steps = 0
        self._averages: dict[str, torch.Tensor] = {}

    @torch.no_grad()
    def step(self, named_parameters: NamedParameters) -> None:
        """Take in the weights after an optimizer step; those that do not learn are passed over."""
        learning = {name: p for name, p in named_parameters if p.requires_grad}
        if not self._averages:
            self._averages = {name: self._start(p.detach().float()) for name, p in learning.items()}
        _refuse_other_names(learning, self._averages)
        self.n_steps += 1
        weight = self._weight()
        for name, parameter in learning.items():
            self._averages[name].lerp_(parameter.detach().float(), weight)

    def averages(self) -> dict[str, torch.Tensor]:
        """Return the averaged weights by name."""
        return dict(self._averages)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return all that a resumed run needs, as plain tensors."""
        averages = {f"{_AVERAGE}{name}": tensor for name, tensor in self._averages.items()}
        return {_COUNT: torch.tensor(self.n_steps), **averages}

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from a state, bit for bit."""
        self.n_steps = int(state[_COUNT])
        self._averages = {
            name.removeprefix(_AVERAGE): tensor.clone()
            for name, tensor in state.items()
            if name.startswith(_AVERAGE)
        }

    def _start(self, first: torch.Tensor) -> torch.Tensor:
        return first.clone()

    def _weight(self) -> float:
        raise NotImplementedError


class ExponentialAverage(_RunningAverage):
    """``average = decay * average + (1 - decay) * weights`` after every step.

    Parameters
    ----------
    decay : float
        Share of the average that stays; it looks back over about ``1 / (1 - decay)`` steps.
    bias_correction : bool
        Start from zero and divide by ``1 - decay ** n_steps`` (Kingma & Ba 2015): the average is
        then a weighted mean of the weights since the first step. Without it, the average starts as
        the first weights, which keep a share of ``decay ** (n_steps - 1)``.

    References
    ----------
    Polyak & Juditsky (1992). Acceleration of stochastic approximation by averaging. SIAM Journal on
    Control and Optimization 30(4).
    """

    def __init__(self, decay: float, *, bias_correction: bool = True) -> None:
        super().__init__()
        self.decay = decay
        self.bias_correction = bias_correction

    def averages(self) -> dict[str, torch.Tensor]:
        """Return the averaged weights by name."""
        scale = 1 - self.decay**self.n_steps if self.bias_correction else 1.0
        return {name: tensor / scale for name, tensor in self._averages.items()}

    def _start(self, first: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(first) if self.bias_correction else first.clone()

    def _weight(self) -> float:
        return 1 - self.decay


class UniformAverage(_RunningAverage):
    """The mean of the weights at the moments when :meth:`step` is called (Izmailov et al. 2018).

    The authors call it at the end of each cycle or epoch in the last part of a run, while the
    learning rate is constant or cyclic.

    References
    ----------
    Izmailov, Podoprikhin, Garipov, Vetrov & Wilson (2018). Averaging weights leads to wider optima
    and better generalization. UAI, algorithm 1.
    """

    def _weight(self) -> float:
        return 1 / self.n_steps


@contextmanager
def averaged_weights(averager: Averager, named_parameters: NamedParameters) -> Iterator[None]:
    """Run with the averaged weights; afterwards the model has its own again, bit for bit.

    Before the first step there is no average, and the weights stay as they are.

    Parameters
    ----------
    averager : Averager
        The averages.
    named_parameters : iterable of (str, Parameter)
        The model's.
    """
    averages = averager.averages()
    learning = {name: p for name, p in named_parameters if p.requires_grad and averages}
    _refuse_other_names(learning, averages)
    own = {name: parameter.detach().clone() for name, parameter in learning.items()}
    _write(learning, averages)
    try:
        yield
    finally:
        _write(learning, own)


def use_averages(averager: Averager, named_parameters: NamedParameters) -> None:
    """Give the model the averaged weights for good; before the first step it keeps its own."""
    averages = averager.averages()
    learning = {name: p for name, p in named_parameters if p.requires_grad and averages}
    _refuse_other_names(learning, averages)
    _write(learning, averages)


@torch.no_grad()
def _write(
    parameters: Mapping[str, torch.nn.Parameter], values: Mapping[str, torch.Tensor]
) -> None:
    for name, parameter in parameters.items():
        parameter.copy_(values[name])


def _refuse_other_names(learning: Iterable[str], averages: Iterable[str]) -> None:
    differing = sorted(set(learning) ^ set(averages))
    if differing:
        raise TrainingError(
            f"{len(differing)} weights learn but are not averaged, or the other way round, for "
            f"example {', '.join(differing[:3])}",
            expected="the same weights from the first step to the last",
            fix="remove the work directory of the run and start it again",
        )
