"""From ``finetune.tuning`` to the tuning method that it names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipeline_steps.errors import TrainingError
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.training.tuning.adapters import houlsby, pfeiffer
from pipeline_steps.training.tuning.adaptive_rank import AdaptiveRank
from pipeline_steps.training.tuning.low_rank import LowRank, Rescaling
from pipeline_steps.training.tuning.method import Tuning
from pipeline_steps.training.tuning.prompts import PrefixTuning, PromptTuning
from pipeline_steps.training.tuning.quantized import QuantizedLowRank
from pipeline_steps.training.tuning.selection import BitFit, Full, HeadOnly, TopLayers

# The keys of a section are the arguments of its method.
_SEEDED: Mapping[str, Callable[..., Tuning]] = {
    "lora": LowRank,
    "adalora": AdaptiveRank,
    "qlora": QuantizedLowRank,
    "houlsby": houlsby,
    "pfeiffer": pfeiffer,
    "prompt": PromptTuning,
    "prefix": PrefixTuning,
}
_SEEDLESS: Mapping[str, Callable[..., Tuning]] = {
    "full": Full,
    "head": HeadOnly,
    "top_layers": TopLayers,
    "bitfit": BitFit,
    "ia3": Rescaling,
}


def tuning_of(params: FinetuneParams) -> Tuning:
    """Return the tuning method of ``finetune.tuning``, with the run's seed."""
    kind = params.tuning.kind
    settings: dict[str, Any] = params.tuning.model_dump(exclude={"kind"})
    if kind in _SEEDLESS:
        return _SEEDLESS[kind](**settings)
    return _SEEDED[kind](**settings, seed=params.seed)


def refuse_frozen_chance(params: FinetuneParams) -> None:
    """Refuse layers that are drawn anew and would then never learn.

    Raises
    ------
    TrainingError
        If ``finetune.reinitialise_layers`` exceeds what the tuning trains.
    """
    tuning, n_drawn = params.tuning, params.reinitialise_layers
    n_learning = tuning.n_layers if tuning.kind == "top_layers" else 0
    if n_drawn and tuning.kind != "full" and n_drawn > n_learning:
        raise TrainingError(
            f"finetune.reinitialise_layers is {n_drawn}, and with the tuning {tuning.kind} "
            f"{n_learning} whole layers learn: the others would stay random",
            expected="new random weights only where they learn",
            fix="set finetune.reinitialise_layers to 0, or finetune.tuning.kind to full",
        )
