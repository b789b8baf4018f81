"""The one place where our parameters become transformers' arguments.

transformers 5 removes arguments in minor releases; when it does, this is what changes.
"""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import TrainingArguments

from pipeline_steps.finetune_params import FinetuneParams

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
_LOGGING_STEPS = 10
_KEPT_CHECKPOINTS = 3


def learning_rates(params: FinetuneParams) -> tuple[float, float]:
    """Return the learning rates of the body and of the new head."""
    default = DEFAULT_LEARNING_RATE.get(params.tuning.kind, _ADDED_WEIGHTS)
    body = params.learning_rate or default
    return body, params.head_learning_rate or max(DEFAULT_HEAD_LEARNING_RATE, body)


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
    return TrainingArguments(
        output_dir=str(work),
        num_train_epochs=params.epochs,
        learning_rate=learning_rates(params)[0],
        weight_decay=params.weight_decay,
        warmup_steps=params.warmup_fraction,
        lr_scheduler_type="linear",
        max_grad_norm=params.max_gradient_norm,
        gradient_accumulation_steps=params.accumulation_steps,
        optim="adamw_torch_fused",
        bf16=precision == "bf16",
        use_cpu=device.type == "cpu",
        seed=params.seed,
        data_seed=params.seed,
        eval_strategy="steps",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=_KEPT_CHECKPOINTS,
        load_best_model_at_end=True,
        metric_for_best_model=params.early_stopping_metric,
        greater_is_better=params.early_stopping_metric != "loss",
        restore_callback_states_from_checkpoint=True,
        logging_steps=_LOGGING_STEPS,
        logging_nan_inf_filter=False,
        remove_unused_columns=False,
        dataloader_pin_memory=device.type == "cuda",
        accelerator_config={"even_batches": False},
        report_to=[],
        disable_tqdm=not show_progress,
        log_level="error",
    )
