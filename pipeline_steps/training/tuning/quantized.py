"""QLoRA: the frozen weights in four bits, low-rank updates over them (Dettmers et al. 2023).

It needs a CUDA GPU and was not run on one by the authors of this module; what holds the four bits
and folds the updates in is tested on a CPU.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from pipeline_steps.errors import TrainingError
from pipeline_steps.inference.forward import best_device
from pipeline_steps.training.tuning.low_rank import LowRank
from pipeline_steps.training.tuning.targets import head_modules

_TYPE = "nf4"


@dataclass(frozen=True)
class QuantizedLowRank:
    """Low-rank adaptation of a body in four bits (NF4, doubly quantized).

    Parameters
    ----------
    rank, alpha, dropout, target_modules, scaling, seed
        As :class:`~pipeline_steps.training.tuning.low_rank.LowRank` has them.

    References
    ----------
    Dettmers, Pagnoni, Holtzman & Zettlemoyer (2023). QLoRA: Efficient finetuning of quantized LLMs.
    NeurIPS.
    """

    rank: int = 16
    alpha: int = 32
    scaling: Literal["rank", "sqrt_rank"] = "rank"
    dropout: float = 0.0
    target_modules: tuple[str, ...] | str | None = None
    seed: int = 0

    def apply(self, model: torch.nn.Module, head_names: Sequence[str]) -> torch.nn.Module:
        """Return the model with its body in four bits and adapters over it, on the GPU.

        Raises
        ------
        TrainingError
            If there is no CUDA GPU or no bitsandbytes, none of the target modules, or nothing that
            four bits could hold.
        """
        device = best_device()
        refuse_without_four_bits(device)
        adapted = LowRank(
            rank=self.rank,
            alpha=self.alpha,
            scaling=self.scaling,
            dropout=self.dropout,
            target_modules=self.target_modules,
            seed=self.seed,
        )
        quantized: Any = in_four_bits(model, head_modules(head_names)).to(device)
        quantized.is_loaded_in_4bit = True  # peft asks this before it adapts such layers
        return adapted.apply(quantized, head_names)

    def finish(self, model: torch.nn.Module) -> torch.nn.Module:
        """Return the plain fp32 model: what the four bits stand for, with the updates folded in.

        The updates were learnt over these weights, not over those of the base.
        """
        found: Any = model
        for name, module in [*model.named_modules()]:
            adapted: Any = module
            if hasattr(adapted, "lora_A"):
                _fold_in(adapted)
            elif _is_four_bit(adapted) and not name.endswith("base_layer"):
                _replace(model, name, _dequantized(adapted))
        return found.unload()  # type: ignore[no-any-return]


def refuse_without_four_bits(device: torch.device) -> None:
    """Refuse what four bits need and is not there.

    Raises
    ------
    TrainingError
        If there is no CUDA GPU, or bitsandbytes is not installed.
    """
    if device.type != "cuda":
        raise TrainingError(
            f"qlora on the device {device.type}",
            expected="a CUDA GPU, for which the four-bit kernels are written",
            fix="set finetune.tuning.kind to lora",
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise TrainingError(
            "qlora without bitsandbytes",
            expected="bitsandbytes, which holds weights in four bits",
            fix="pip install bitsandbytes",
        )


def in_four_bits(model: torch.nn.Module, kept: Collection[str]) -> torch.nn.Module:
    """Return the model with its linear layers outside ``kept`` ready to be held in four bits.

    They are quantized when they move to the GPU. An output matrix over the vocabulary stays whole:
    it may be the word vectors themselves.

    Raises
    ------
    TrainingError
        If there are none, as in GPT-2, which keeps its matrices in another kind of layer.
    """
    import bitsandbytes  # type: ignore[import-not-found]

    written_by = getattr(model, "get_output_embeddings", lambda: None)()
    found = [
        (name, module)
        for name, module in model.named_modules()
        if type(module) is torch.nn.Linear and name not in kept and module is not written_by
    ]
    if not found:
        raise TrainingError(
            f"qlora on {type(model).__name__}, which has no linear layers of torch",
            expected="a body of torch.nn.Linear, such as BERT's or Llama's",
            fix="set finetune.tuning.kind to lora, or name another finetune.base_model",
        )
    for name, linear in found:
        layer = bitsandbytes.nn.Linear4bit(
            linear.in_features,
            linear.out_features,
            bias=linear.bias is not None,
            compute_dtype=torch.bfloat16,
            compress_statistics=True,
            quant_type=_TYPE,
        )
        layer.weight = bitsandbytes.nn.Params4bit(
            linear.weight.detach(),
            requires_grad=False,
            compress_statistics=True,
            quant_type=_TYPE,
        )
        layer.bias = linear.bias
        _replace(model, name, layer)
    return model


def _fold_in(adapted: Any) -> None:
    """Add the update of an adapted layer to its weights, which are whole afterwards."""
    if not _is_four_bit(adapted.base_layer):
        adapted.merge()
        return
    plain = _dequantized(adapted.base_layer)
    plain.weight.data += adapted.get_delta_weight("default").float()
    adapted.base_layer = plain


def _is_four_bit(module: torch.nn.Module) -> bool:
    """Return whether a module holds a matrix in four bits; peft's wrapper of the name does not."""
    return type(module).__name__ == "Linear4bit" and not hasattr(module, "base_layer")


def _dequantized(layer: Any) -> torch.nn.Linear:
    import bitsandbytes

    weight = bitsandbytes.functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state)
    rows, columns = weight.shape
    plain = torch.nn.Linear(columns, rows, bias=layer.bias is not None, device=weight.device)
    plain.weight = torch.nn.Parameter(weight.float(), requires_grad=False)
    if layer.bias is not None:
        plain.bias = torch.nn.Parameter(layer.bias.float(), requires_grad=False)  # bf16 by now
    return plain


def _replace(model: torch.nn.Module, name: str, layer: torch.nn.Module) -> None:
    parent, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(parent), leaf, layer)
