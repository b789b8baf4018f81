"""Small updates of the weights through peft, folded into them at the end: LoRA and its kin, IA3."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from pipeline_steps.inference.anatomy import linears
from pipeline_steps.inference.unmerged.bottleneck import sub_layer_ends
from pipeline_steps.training.tuning.method import seeded
from pipeline_steps.training.tuning.targets import (
    all_linear,
    head_modules,
    key_and_value,
    named_targets,
    query_and_value,
)
from pipeline_steps.tuning_params import ALL_LINEAR


@dataclass(frozen=True)
class LowRank:
    """Low-rank adaptation (Hu et al. 2022) and two variants.

    Parameters
    ----------
    rank : int
        Rank of the update of each matrix.
    alpha : int
        Scale of the update.
    scaling : {"rank", "sqrt_rank"}
        Divide alpha by the rank (LoRA), or by its root so that high ranks learn as fast (rsLoRA,
        Kalajdzievski 2023).
    decomposed : bool
        Learn the length of each row of the weights apart from its direction (DoRA, Liu et al.
        2024).
    dropout : float
        Share of inputs dropped before the update, while training.
    target_modules : tuple of str or "all-linear" or None
        Last parts of the names of the matrices to adapt, or all but the head's; None: the
        attention's query and value.
    seed : int
        Same seed, same initial update.

    References
    ----------
    Hu et al. (2022). LoRA. ICLR. Kalajdzievski (2023). A rank stabilization scaling factor for
    fine-tuning with LoRA. arXiv:2312.03732. Liu et al. (2024). DoRA: Weight-decomposed low-rank
    adaptation. ICML.
    """

    rank: int = 16
    alpha: int = 32
    scaling: Literal["rank", "sqrt_rank"] = "rank"
    decomposed: bool = False
    dropout: float = 0.0
    target_modules: tuple[str, ...] | str | None = None
    seed: int = 0

    def apply(self, model: torch.nn.Module, head_names: Sequence[str]) -> torch.nn.Module:
        """Return the model with adapters in its target modules.

        Raises
        ------
        TrainingError
            If the model has none of the target modules.
        """
        from peft import LoraConfig

        targets = chosen_targets(model, self.target_modules, head_names)
        config = LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,
            use_rslora=self.scaling == "sqrt_rank",
            use_dora=self.decomposed,
            lora_dropout=self.dropout,
            target_modules=targets,
            fan_in_fan_out=stores_transposed(model, targets),
            modules_to_save=head_modules(head_names),
        )
        return wrapped(model, config, self.seed)

    def finish(self, model: torch.nn.Module) -> torch.nn.Module:
        """Return the plain model with the updates folded into its weights."""
        return merged(model)


@dataclass(frozen=True)
class Rescaling:
    """IA3: keys, values and the inner features of the feed-forward are each scaled by a factor.

    In an architecture whose query, key and value are one matrix, queries are scaled too.

    References
    ----------
    Liu et al. (2022). Few-shot parameter-efficient fine-tuning is better and cheaper than
    in-context learning. NeurIPS.
    """

    def apply(self, model: torch.nn.Module, head_names: Sequence[str]) -> torch.nn.Module:
        """Return the model with factors beside its weights.

        Raises
        ------
        TrainingError
            If attention or feed-forward are not recognised in this architecture.
        """
        from peft import IA3Config

        feed_forward = list(sub_layer_ends(model, "feed_forward"))
        targets = [*key_and_value(model), *feed_forward]
        config = IA3Config(
            target_modules=targets,
            feedforward_modules=feed_forward,
            fan_in_fan_out=stores_transposed(model, targets),
            modules_to_save=head_modules(head_names),
        )
        return wrapped(model, config, seed=0)  # the factors start at 1 whatever the seed

    def finish(self, model: torch.nn.Module) -> torch.nn.Module:
        """Return the plain model with the factors multiplied into its weights, which is exact."""
        return merged(model)


def chosen_targets(
    model: torch.nn.Module, names: Sequence[str] | str | None, head_names: Collection[str]
) -> list[str]:
    """Return the full names of the matrices to adapt.

    ``names`` are last parts of names, or the word for all of them.

    Raises
    ------
    TrainingError
        If there are none.
    """
    if names is None:
        return query_and_value(model)
    if names == ALL_LINEAR:
        return all_linear(model, head_names)
    return named_targets(model, names, head_names)


def stores_transposed(model: torch.nn.Module, targets: Collection[str]) -> bool:
    """Return whether the targets keep their weights as (in, out), as GPT-2's Conv1D does."""
    matrices = linears(model)
    return not any(isinstance(matrices[name], torch.nn.Linear) for name in targets)


def wrapped(model: torch.nn.Module, config: Any, seed: int) -> torch.nn.Module:
    """Return the model inside peft.

    The configuration must name no task type: with one, peft would add the modules that it takes
    for a head, and a module that is saved inside another one gets lost.
    """
    from peft import get_peft_model

    with seeded(seed), warnings.catch_warnings():
        # peft 0.21 asks transformers 5.23 by an old name: nothing that a user could mend.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated")
        return get_peft_model(model, config)  # type: ignore[no-any-return]


def merged(model: Any) -> torch.nn.Module:
    """Return the plain model with what peft added folded into its weights."""
    return model.merge_and_unload()  # type: ignore[no-any-return]
