"""Everything that decides the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.inference.base_model import BaseModelRef
from pipeline_steps.types import DatasetRef


@dataclass(frozen=True)
class Inputs:
    """Everything that decides the weights.

    ``further``: digests of what the parameters name. ``head_seed`` draws the new head; None: the
    seed of the parameters does.
    """

    train: DatasetRef
    valid: DatasetRef
    base: BaseModelRef
    params: FinetuneParams
    problem: str
    further: Mapping[str, str] = field(default_factory=dict)
    head_seed: int | None = None
