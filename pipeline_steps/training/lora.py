"""Low-rank adaptation (Hu et al. 2021) through peft, with the new head trained and kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from pipeline_steps.errors import TrainingError
from pipeline_steps.params import LoraParams


def add_lora(
    model: torch.nn.Module, head_names: Sequence[str], params: LoraParams
) -> torch.nn.Module:
    """Return the model with adapters in its target modules; the head stays trainable.

    The head is what the base lacked, not a name that peft guesses: some architectures add a pooler
    or a dense layer that would stay random and frozen.

    Raises
    ------
    TrainingError
        If the model has none of the target modules.
    """
    from peft import LoraConfig, get_peft_model

    _refuse_absent_targets(model, params.target_modules)
    # Without a task type: with one, peft would add the modules that it takes for a head, and a
    # module that is saved inside another one gets lost.
    config = LoraConfig(
        r=params.rank,
        lora_alpha=params.alpha,
        lora_dropout=params.dropout,
        target_modules=list(params.target_modules),
        modules_to_save=head_modules(head_names),
    )
    return get_peft_model(model, config)


def head_modules(head_names: Sequence[str]) -> list[str]:
    """Return the modules that hold the head's parameters.

    Examples
    --------
    >>> head_modules(["classifier.weight", "classifier.bias"])
    ['classifier']
    """
    return sorted({name.rpartition(".")[0] for name in head_names})


def merged(model: Any) -> torch.nn.Module:
    """Return the plain model with the adapters folded into its weights."""
    return model.merge_and_unload()  # type: ignore[no-any-return]


def _refuse_absent_targets(model: torch.nn.Module, targets: Sequence[str]) -> None:
    linear = {
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear)
    }
    absent = sorted(set(targets) - linear)
    if absent:
        raise TrainingError(
            f"finetune.lora.target_modules names {', '.join(absent)}, which this model lacks",
            expected=f"names among {', '.join(sorted(linear))}",
            fix="choose the modules to adapt from these in finetune.lora.target_modules",
        )
