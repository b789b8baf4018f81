"""The section ``finetune.hardware``: what is traded for memory and speed, and not for results."""

from __future__ import annotations

from typing import Literal

from pipeline_steps.section import Section


class HardwareParams(Section):
    """What is traded for memory and speed, and not for results."""

    gradient_checkpointing: bool = False
    """Compute activations anew for the gradient instead of keeping them: less memory, more time."""
    sharded: bool = False
    """Share weights and optimizer states out over the processes (FSDP2); for full tuning."""
    compile: bool = False
    """Compile the model; pays on GPUs with few batch shapes, not on CPUs."""
    tf32: bool = True
    """Multiply fp32 matrices in TF32 on a CUDA GPU that can; fp32 weights stay fp32."""
    attention: Literal["auto", "eager", "sdpa", "flash_attention_2"] = "auto"
    """auto leaves it to transformers; flash_attention_2 needs CUDA and the package flash-attn."""
