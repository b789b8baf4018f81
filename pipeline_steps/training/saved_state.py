"""What a run knows beyond weights and optimizer, beside them in each of its checkpoints.

Tensors are safetensors, the rest is JSON: both give back every bit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import load_file, save_file


class SavedPart(Protocol):
    """Something that goes into a trainer's checkpoint and comes back on resume."""

    def save(self, directory: Path) -> None:
        """Write the state into a checkpoint."""
        ...

    def load(self, directory: Path) -> None:
        """Go on from the state in a checkpoint."""
        ...


class HoldsTensors(Protocol):
    """Whatever has a state of plain tensors."""

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return all that a resumed run needs."""
        ...

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from a state."""
        ...


class SavedTensors:
    """The tensors of one holder under a name of its own.

    Parameters
    ----------
    name : str
        Name of the file without its ending.
    holder : HoldsTensors
        Whose state it is.
    device : device
        Where the tensors are wanted.
    """

    def __init__(self, name: str, holder: HoldsTensors, device: torch.device) -> None:
        self.name = name
        self.holder = holder
        self.device = device

    def save(self, directory: Path) -> None:
        """Write ``<name>.safetensors``."""
        state = {name: t.contiguous() for name, t in self.holder.state_dict().items()}
        save_file(state, directory / f"{self.name}.safetensors")

    def load(self, directory: Path) -> None:
        """Read ``<name>.safetensors``."""
        file = directory / f"{self.name}.safetensors"
        self.holder.load_state_dict(load_file(file, device=str(self.device)))


def write_json(directory: Path, name: str, value: Any) -> None:
    """Write a value as ``<name>.json``."""
    (directory / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")


def read_json(directory: Path, name: str) -> Any:
    """Return the value in ``<name>.json``."""
    return json.loads((directory / f"{name}.json").read_text(encoding="utf-8"))
