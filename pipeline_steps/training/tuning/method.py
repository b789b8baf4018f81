"""What every tuning method is: it marks what learns, and gives back the model that is saved."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import torch


class Tuning(Protocol):
    """Which parameters learn.

    The head, that is exactly the parameters that the base lacked, always learns.
    """

    def apply(self, model: torch.nn.Module, head_names: Sequence[str]) -> torch.nn.Module:
        """Return the model to train; ``model`` itself is changed.

        Parameters
        ----------
        model : Module
            A model of transformers with its head.
        head_names : sequence of str
            Names of the parameters that the base lacked.

        Raises
        ------
        TrainingError
            If the method does not fit the model.
        """
        ...

    def finish(self, model: torch.nn.Module) -> torch.nn.Module:
        """Return what is saved with ``save_pretrained``: merged where merging is exact."""
        ...


def train_only(model: torch.nn.Module, names: Collection[str]) -> None:
    """Let the named parameters learn and no others."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in names)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from ``seed`` where a library draws from torch's global CPU generator; then restore it.

    Other devices' generators are left alone: weights are drawn before the model moves there.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
