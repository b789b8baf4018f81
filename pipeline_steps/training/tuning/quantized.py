"""QLoRA: the frozen weights in four bits, low-rank updates over them (Dettmers et al. 2023).

It needs a CUDA GPU and was not run by the authors of this module; its refusals are tested.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import torch

from pipeline_steps.errors import TrainingError


def four_bit_config(device: torch.device) -> Any:
    """Return the quantization to pass to ``from_pretrained``: NF4, doubly quantized.

    Train it with :class:`~pipeline_steps.training.tuning.low_rank.LowRank`. Merging into four bits
    is not exact: load the base anew in full precision to merge.

    Raises
    ------
    TrainingError
        If there is no CUDA GPU, or bitsandbytes is not installed.

    References
    ----------
    Dettmers, Pagnoni, Holtzman & Zettlemoyer (2023). QLoRA: Efficient finetuning of quantized LLMs.
    NeurIPS.
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
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
