"""Model outputs as objectives need them: halved, softened, reduced to logits."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch

_LOGITS = "logits"


def logit_fields(outputs: Any) -> dict[str, torch.Tensor]:
    """Return the fields of outputs whose names end in ``logits`` (a span head has two).

    Examples
    --------
    >>> outputs = SimpleNamespace(start_logits=torch.zeros(1, 2), end_logits=torch.ones(1, 2))
    >>> sorted(logit_fields(outputs))
    ['end_logits', 'start_logits']
    """
    names = outputs.keys() if hasattr(outputs, "keys") else vars(outputs)
    found = {name: getattr(outputs, name) for name in names if name.endswith(_LOGITS)}
    return {name: value for name, value in found.items() if isinstance(value, torch.Tensor)}


def mapped_logits(outputs: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """Return outputs that have only logits, each of them changed."""
    return SimpleNamespace(**{name: change(value) for name, value in logit_fields(outputs).items()})


def detached(outputs: Any) -> Any:
    """Return outputs that have only logits, as a fixed target."""
    return mapped_logits(outputs, torch.Tensor.detach)


def softened(outputs: Any, temperature: float) -> Any:
    """Return outputs that have only logits, divided by a temperature, in fp32."""
    return mapped_logits(outputs, lambda logits: logits.float() / temperature)


def halves(outputs: Any) -> tuple[Any, Any]:
    """Return the logits of the first and of the second half of the rows."""
    return (
        mapped_logits(outputs, lambda logits: logits.chunk(2)[0]),
        mapped_logits(outputs, lambda logits: logits.chunk(2)[1]),
    )


def own_blocks(outputs: Any) -> tuple[Any, Any]:
    """Return the halves of a batch that has a column for each row, without each other's columns."""
    first, second = halves(outputs)
    return (
        mapped_logits(first, lambda logits: logits.chunk(2, dim=-1)[0]),
        mapped_logits(second, lambda logits: logits.chunk(2, dim=-1)[1]),
    )
