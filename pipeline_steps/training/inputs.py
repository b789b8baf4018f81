"""Everything that decides the weights."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.inference.base_model import BaseModelRef
from pipeline_steps.types import DatasetRef


@dataclass(frozen=True)
class Inputs:
    """Everything that decides the weights.

    ``head_seed`` draws the new head; None: the seed of the parameters does.
    """

    train: DatasetRef
    valid: DatasetRef
    base: BaseModelRef
    params: FinetuneParams
    problem: str
    head_seed: int | None = None
