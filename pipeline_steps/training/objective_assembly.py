"""From ``finetune.objective`` to the objectives that it names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pipeline_steps.errors import TrainingError
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.objective_mistakes import objective_mistakes
from pipeline_steps.training.consolidation import consolidated
from pipeline_steps.training.foreign_models import refuse_foreign_models
from pipeline_steps.training.hidden_states import follow_hidden_states
from pipeline_steps.training.material import Material
from pipeline_steps.training.objectives.adversarial import FGM, PGD
from pipeline_steps.training.objectives.combined import has_dropout_in, refuse_incompatible
from pipeline_steps.training.objectives.consistency import RDrop
from pipeline_steps.training.objectives.contrastive import SupervisedContrastive
from pipeline_steps.training.objectives.distillation import Distillation
from pipeline_steps.training.objectives.freelb import FreeLB
from pipeline_steps.training.objectives.lwf import LwF
from pipeline_steps.training.objectives.penalties import L2SP, starting_weights
from pipeline_steps.training.objectives.smart import SMART
from pipeline_steps.training.objectives.step import Objective
from pipeline_steps.training.objectives.teachers import LiveTeacher
from pipeline_steps.training.teaching import OldModel, record

_ASKED_FACTOR = 4  # without gradients a batch may hold more tokens


@dataclass(frozen=True)
class Ground:
    """What objectives are made from.

    Parameters
    ----------
    params : FinetuneParams
        What is asked.
    model : Any
        As it will be trained.
    head_names : tuple of str
        Its new parameters.
    material : Material
        The rows, who reads them, and the checkpoints that are asked; what those say is recorded.
    device : device
        Where the training runs.
    precision : str
        What it computes in.
    work : Path
        Directory of what a training that goes on after a kill need not compute again.
    """

    params: FinetuneParams
    model: Any
    head_names: tuple[str, ...]
    material: Material
    device: torch.device
    precision: str
    work: Path


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


def objectives_of(ground: Ground) -> list[Objective]:
    """Return the objectives of ``finetune.objective``.

    Raises
    ------
    TrainingError
        If one needs what the model does not have, or a checkpoint does not fit.
    """
    asked, material = ground.params.objective, ground.material
    refuse_foreign_models(ground.params, material, ground.model)
    if asked.chosen():
        ground.model.to(ground.device)  # copies of its weights shall lie where it will
    found = [_MAKERS[name](ground) for name in asked.chosen() if name in _MAKERS]
    refuse_incompatible(found, has_dropout=has_dropout_in(ground.model))
    return found


def _plain(name: str, kind: Callable[..., Objective]) -> Callable[[Ground], Objective]:
    """Return a maker of objectives whose arguments are the keys of their section."""
    return lambda ground: kind(**getattr(ground.params.objective, name).model_dump())


def _distillation(ground: Ground) -> Objective:
    asked: Any = ground.params.objective.distillation
    live = _asked(ground, "teacher_logits", asked.teachers)
    return Distillation(asked.weight, asked.temperature, live)


def _hidden(ground: Ground) -> Objective:
    asked: Any = ground.params.objective.hidden
    teacher = ground.material.old_models[asked.teacher]
    return follow_hidden_states(
        asked,
        teacher.model,
        ground.model,
        seed=ground.params.seed,
        precision=ground.precision,
        written=teacher.writes,
    )


def _l2sp(ground: Ground) -> Objective:
    asked: Any = ground.params.objective.l2sp
    return L2SP(starting_weights(ground.model, ground.head_names), asked.alpha, asked.beta)


def _ewc(ground: Ground) -> Objective:
    asked: Any = ground.params.objective.ewc
    return consolidated(
        asked,
        ground.material.old_models[asked.checkpoint],
        ground.model,
        work=ground.work,
        pad_id=ground.material.pad_id,
        seed=ground.params.seed,
    )


def _lwf(ground: Ground) -> Objective:
    asked: Any = ground.params.objective.lwf
    live = _asked(ground, "old_logits", [asked.checkpoint])
    columns = _columns(ground.material.old_models[asked.checkpoint], ground.model)
    return LwF(asked.weight, asked.temperature, live[0] if live else None, columns)


_MAKERS: Mapping[str, Callable[[Ground], Objective]] = {
    "fgm": _plain("fgm", FGM),
    "pgd": _plain("pgd", PGD),
    "freelb": _plain("freelb", FreeLB),
    "smart": _plain("smart", SMART),
    "rdrop": _plain("rdrop", RDrop),
    "contrastive": _plain("contrastive", SupervisedContrastive),
    "distillation": _distillation,
    "hidden": _hidden,
    "l2sp": _l2sp,
    "ewc": _ewc,
    "lwf": _lwf,
}


def _asked(ground: Ground, name: str, paths: Sequence[str]) -> tuple[LiveTeacher, ...]:
    """Record what checkpoints say of the rows; return those that are asked in each step instead.

    They are where rows change, and where they answer each token with a whole vocabulary: to keep
    that of all rows would take more room than the rows, thousands of times.
    """
    old = [ground.material.old_models[path] for path in paths]
    models = [one.model for one in old]
    if ground.material.train.augmentation is not None or old[0].writes:
        return tuple(LiveTeacher(model, precision=ground.precision) for model in models)
    ground.material.train.recorded[name] = record(
        models,
        ground.material.train.encoded.token_ids,
        ground.material.pad_id,
        _ASKED_FACTOR * ground.params.batch_tokens,
    )
    return ()


def _columns(old: OldModel, model: Any) -> tuple[int, ...] | None:
    """Return where the old model's outputs stand among the new model's; None: at the same."""
    if old.writes:  # tokens; the labels in its configuration mean nothing
        return None
    theirs, mine = (list(m.config.id2label.values()) for m in (old, model))
    return None if theirs == mine else tuple(mine.index(name) for name in theirs)
