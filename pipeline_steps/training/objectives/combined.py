"""The loss of a step: the clean loss, unless a part stands for it, and all other parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from pipeline_steps.errors import TrainingError
from pipeline_steps.training.objectives.step import Objective, Step

CLEAN = "clean"


@dataclass(frozen=True)
class TotalLoss:
    """The sum to differentiate, and the value of each part by name, for the log."""

    total: torch.Tensor
    parts: dict[str, torch.Tensor]


def total_loss(step: Step, objectives: Sequence[Objective]) -> TotalLoss:
    """Return the loss of a step.

    What the objectives ask of the clean pass is set on the step before it is run. Parts are not
    moved to the CPU: who logs them decides when to wait for the device.
    """
    if not objectives:  # nothing is added up: the clean loss, bit for bit
        return TotalLoss(step.loss, {CLEAN: step.loss.detach()})
    if "outputs" not in vars(step):  # a clean pass that was already run cannot keep more
        step.keeps_hidden_states |= _any(objectives, "needs_hidden_states")
        step.keeps_embeddings |= _any(objectives, "reads_clean_gradient")
    parts = {}
    if not any(objective.replaces_clean_loss for objective in objectives):
        parts[CLEAN] = step.loss
    for objective in objectives:
        parts[type(objective).__name__] = objective(step)
    total = torch.stack([part.float() for part in parts.values()]).sum()
    return TotalLoss(total, {name: part.detach() for name, part in parts.items()})


def refuse_incompatible(
    objectives: Sequence[Objective],
    *,
    reads_token_ids: bool = True,
    has_dropout: bool = True,
    one_label_per_text: bool = True,
) -> None:
    """Refuse objectives that cannot work together, or not on this model and problem.

    Parameters
    ----------
    objectives : sequence of Objective
        All that a run is to have.
    reads_token_ids : bool
        Whether the model embeds tokens; not so on cached features.
    has_dropout : bool
        See :func:`has_dropout_in`.
    one_label_per_text : bool
        Whether labels are classes of whole texts.

    Raises
    ------
    TrainingError
        With everything that does not fit.
    """
    mistakes = [
        *_clashes(objectives),
        *_unmet(objectives, "perturbs_embeddings", reads_token_ids, "there are no token ids"),
        *_unmet(
            objectives,
            "needs_dropout",
            has_dropout,
            "the model has no dropout, so that two passes are alike; smart asks for steady answers "
            "without it",
        ),
        *_unmet(objectives, "needs_one_label", one_label_per_text, "texts have no single label"),
    ]
    if mistakes:
        raise TrainingError(
            "; ".join(mistakes),
            expected="at most one objective of a kind and at most one that replaces the clean "
            "loss, each with what it needs of the model",
            fix="take out what clashes in finetune.objective in params.yaml",
        )


def has_dropout_in(model: torch.nn.Module) -> bool:
    """Return whether two passes of a batch differ in training mode.

    ModernBERT comes without any dropout, and R-Drop would do nothing there.
    """
    layers = (m.p for m in model.modules() if isinstance(m, torch.nn.Dropout))
    attention = (getattr(m, "attention_dropout", 0.0) for m in model.modules())
    return any(isinstance(share, float) and share > 0 for share in (*layers, *attention))


def _clashes(objectives: Sequence[Objective]) -> Iterable[str]:
    names = [type(objective).__name__ for objective in objectives]
    for name, n in Counter(names).items():
        if n > 1:
            yield f"{name} is there {n} times"
    replacing = [type(o).__name__ for o in objectives if o.replaces_clean_loss]
    if len(replacing) > 1:
        yield f"{' and '.join(replacing)} would each replace the clean loss"


def _unmet(
    objectives: Sequence[Objective], need: str, is_met: bool, otherwise: str
) -> Iterable[str]:
    if not is_met:
        for objective in objectives:
            if getattr(objective, need, False):
                yield f"{type(objective).__name__}: {otherwise}"


def _any(objectives: Sequence[Objective], attribute: str) -> bool:
    return any(getattr(objective, attribute, False) for objective in objectives)
