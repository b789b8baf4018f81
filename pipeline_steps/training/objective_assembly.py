"""From ``finetune.objective`` to the objectives that it names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from pipeline_steps.errors import TrainingError
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.objective_mistakes import objective_mistakes
from pipeline_steps.training.objectives.adversarial import FGM, PGD
from pipeline_steps.training.objectives.combined import has_dropout_in, refuse_incompatible
from pipeline_steps.training.objectives.consistency import RDrop
from pipeline_steps.training.objectives.contrastive import SupervisedContrastive
from pipeline_steps.training.objectives.freelb import FreeLB
from pipeline_steps.training.objectives.smart import SMART
from pipeline_steps.training.objectives.step import Objective

# The keys of a section are the arguments of its objective.
_PLAIN: Mapping[str, Callable[..., Objective]] = {
    "fgm": FGM,
    "pgd": PGD,
    "freelb": FreeLB,
    "smart": SMART,
    "rdrop": RDrop,
    "contrastive": SupervisedContrastive,
}


def refuse_objective_mistakes(problem: str, params: FinetuneParams) -> None:
    """Refuse what the parameters alone tell cannot work.

    Raises
    ------
    TrainingError
        With all of it at once.
    """
    mistakes = objective_mistakes(problem, params)
    if mistakes:
        raise TrainingError(
            "\n  - ".join(["finetune.loss and finetune.objective do not fit:", *mistakes]),
            expected="a loss and objectives that fit the problem, the tuning and each other",
            fix="change what is named above in params.yaml",
        )


def objectives_of(params: FinetuneParams, model: torch.nn.Module) -> list[Objective]:
    """Return the objectives of ``finetune.objective``.

    Parameters
    ----------
    params : FinetuneParams
        What is asked.
    model : Module
        As it will be trained.

    Raises
    ------
    TrainingError
        If one needs what the model does not have.
    """
    found: list[Objective] = [
        _PLAIN[name](**_settings(params, name))
        for name in params.objective.chosen()
        if name in _PLAIN
    ]
    refuse_incompatible(found, has_dropout=has_dropout_in(model))
    return found


def _settings(params: FinetuneParams, name: str) -> dict[str, Any]:
    settings: dict[str, Any] = getattr(params.objective, name).model_dump()
    return settings
