"""The one place where our parameters become transformers' arguments.

transformers 5 removes arguments in minor releases; when it does, this is what changes.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.inference.first_token import as_before
from pipeline_steps.objective_params import PretrainingParams
from pipeline_steps.training.processes import accumulation_of_process

_WHOLE_WEIGHTS = 1e-4
_ADDED_WEIGHTS = 1e-3
DEFAULT_LEARNING_RATE = {
    "full": _WHOLE_WEIGHTS,
    "top_layers": _WHOLE_WEIGHTS,
    "ia3": 3e-3,
    "prompt": 1e-2,
    "prefix": 1e-2,
}
"""By kind of tuning; 1e-3 for the others. Those of full and lora were measured with MiniLM on three
datasets, together with the head's own rate; that of ia3 is Liu et al.'s (2022, T-Few). Prompts and
prefixes are few numbers that must move far: 1e-2 is the largest that P-tuning v2 searched."""
DEFAULT_HEAD_LEARNING_RATE = 1e-3
_AMPERE = 8  # compute capability of the first GPUs with TF32
_LOGGING_STEPS = 10
_KEPT_CHECKPOINTS = 3


def learning_rates(params: FinetuneParams) -> tuple[float, float]:
    """Return the learning rates of the body and of the new head."""
    default = DEFAULT_LEARNING_RATE.get(params.tuning.kind, _ADDED_WEIGHTS)
    body = params.learning_rate or default
    return body, params.head_learning_rate or max(DEFAULT_HEAD_LEARNING_RATE, body)


def _tf32(params: FinetuneParams, device: torch.device) -> bool | None:
    """Return whether fp32 products run in TF32; ``None`` (leave it) where no GPU could."""
    if device.type != "cuda" or torch.cuda.get_device_capability(device)[0] < _AMPERE:
        return None
    return params.hardware.tf32


def _arguments(
    params: FinetuneParams,
    work: Path,
    device: torch.device,
    precision: str,
    *,
    show_progress: bool,
    **others: Any,
) -> TrainingArguments:
    """Return arguments with what holds for every run, and ``others``."""
    arguments = TrainingArguments(
        output_dir=str(work),
        weight_decay=params.weight_decay,
        # transformers takes a number from 1 on for steps and not for a share.
        warmup_steps=min(params.warmup_fraction, math.nextafter(1.0, 0.0)),
        lr_scheduler_type="linear",
        max_grad_norm=params.max_gradient_norm,
        optim="adamw_torch_fused",
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        tf32=_tf32(params, device),
        activation_checkpointing=params.hardware.gradient_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False, "context_fn": as_before},
        torch_compile=params.hardware.compile,
        use_cpu=device.type == "cpu",
        seed=params.seed,
        data_seed=params.seed,
        save_strategy="steps",
        save_total_limit=_KEPT_CHECKPOINTS,
        restore_callback_states_from_checkpoint=True,
        logging_steps=_LOGGING_STEPS,
        logging_nan_inf_filter=False,
        remove_unused_columns=False,
        dataloader_pin_memory=device.type == "cuda",
        accelerator_config={"even_batches": False},
        report_to=[],
        disable_tqdm=not show_progress,
        log_level="error",
        **others,
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # noqa: SLF001 - no threads over several GPUs
    return arguments


def training_arguments(
    params: FinetuneParams,
    work: Path,
    *,
    steps_per_epoch: int,
    precision: str,
    device: torch.device,
    show_progress: bool,
) -> TrainingArguments:
    """Return the arguments of a run: no default of the Trainer that could mislead is left."""
    every = max(1, steps_per_epoch // params.checkpoints_per_epoch)
    return _arguments(
        params,
        work,
        device,
        precision,
        show_progress=show_progress,
        num_train_epochs=params.epochs,
        learning_rate=learning_rates(params)[0],
        gradient_accumulation_steps=accumulation_of_process(params),
        eval_strategy="steps",
        eval_steps=every,
        save_steps=every,
        load_best_model_at_end=True,
        metric_for_best_model=params.early_stopping_metric,
        greater_is_better=params.early_stopping_metric != "loss",
        ddp_find_unused_parameters=False,
        ddp_broadcast_buffers=False,  # none of them changes, and the unused word vectors are large
    )


def pretraining_arguments(
    params: FinetuneParams,
    section: PretrainingParams,
    work: Path,
    *,
    steps_per_epoch: int,
    precision: str,
    device: torch.device,
    show_progress: bool,
) -> TrainingArguments:
    """Return the arguments of reading plain text: saved each epoch, judged by nothing."""
    return _arguments(
        params,
        work,
        device,
        precision,
        show_progress=show_progress,
        num_train_epochs=section.epochs,
        learning_rate=section.learning_rate,
        gradient_accumulation_steps=accumulation_of_process(params),
        save_steps=steps_per_epoch,
        ddp_find_unused_parameters=False,
        ddp_broadcast_buffers=False,
    )
