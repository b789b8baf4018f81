"""Few-shot fine-tuning from rows to a checkpoint: pairs, then a head on frozen vectors.

It takes minutes and keeps no states to go on from: one that is killed begins anew, with the same
result.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm  # type: ignore[import-untyped]
from transformers import PreTrainedTokenizerBase, get_scheduler

from pipeline_steps.errors import TrainingError
from pipeline_steps.inference.anatomy import body, linears
from pipeline_steps.inference.checkpoint import write_checkpoint
from pipeline_steps.inference.forward import autocast, pad
from pipeline_steps.inference.tokenization import save_tokenizer
from pipeline_steps.inference.unmerged.mean_pooling import MeanPoolingSpec
from pipeline_steps.inference.unmerged.storage import Unmerged, attach
from pipeline_steps.stability_params import FewShotParams
from pipeline_steps.training.batching import BatchPlanner
from pipeline_steps.training.few_shot import (
    Pair,
    contrastive_pairs,
    cosine_loss,
    fit_logistic_head,
    sentence_vectors,
)
from pipeline_steps.training.inputs import Inputs
from pipeline_steps.training.preparation import whole_model
from pipeline_steps.training.result import describer
from pipeline_steps.training.trainer import StableTrainer
from pipeline_steps.training.tuning.rates import Rates, build_optimizer, parameter_groups
from pipeline_steps.training.tuning.targets import head_modules
from pipeline_steps.training.watch import DivergedError
from pipeline_steps.types import Checkpoint


def train_from_pairs(
    trainer: StableTrainer,
    tokenizer: PreTrainedTokenizerBase,
    inputs: Inputs,
    settings: FewShotParams,
    output: Path,
) -> Checkpoint:
    """Return the checkpoint of few-shot learning.

    Parameters
    ----------
    trainer : StableTrainer
        Model, rows and scores at their beginning; its own training is not used.
    tokenizer : PreTrainedTokenizerBase
        Saved beside the model.
    inputs : Inputs
        What the weights are made of.
    settings : FewShotParams
        ``finetune.few_shot``.
    output : Path
        Directory of the checkpoint.
    """
    model: Any = trainer.model
    head = _head_name(model, trainer)
    attach(model, spec := MeanPoolingSpec(head))
    rows, labels = trainer.train_rows.encoded.token_ids, trainer.train_rows.labels
    pairs = contrastive_pairs(labels, settings.n_iterations, inputs.params.seed)
    precision = "bf16" if trainer.args.bf16 else "fp32"
    n_steps = _learn(trainer, rows, pairs, settings, precision)
    plain: Any = whole_model(model).eval()
    _fit(plain.get_submodule(head), _vectors(trainer, rows), labels, settings)
    carrying = Unmerged(plain, spec)
    notes = _description(trainer, carrying, len(pairs), n_steps, settings, precision)

    def save(directory: Path) -> None:
        carrying.save_pretrained(directory)
        save_tokenizer(tokenizer, directory)

    return write_checkpoint(output, save, describer(inputs, trainer.labels, notes))


def _head_name(model: Any, trainer: StableTrainer) -> str:
    """Return the name of the matrix that makes the logits."""
    inside = tuple(head_modules(trainer.head_names))
    found = [n for n, m in linears(model).items() if n in inside and m.bias is not None]
    if not found:
        raise TrainingError(
            f"{type(model).__name__} has no head of a matrix and a bias",
            expected="an encoder such as BERT, RoBERTa, DistilBERT, DeBERTa or ModernBERT",
            fix="name a sentence encoder in finetune.base_model, or set finetune.few_shot to null",
        )
    return found[-1]


def _learn(
    trainer: StableTrainer,
    rows: Sequence[Sequence[int]],
    pairs: Sequence[Pair],
    settings: FewShotParams,
    precision: str,
) -> int:
    """Return the steps made after teaching the body of the trainer's model by pairs."""
    params, model = trainer.params, trainer.steady.model
    lengths = [2 * max(len(rows[pair.first]), len(rows[pair.second])) for pair in pairs]
    planner = BatchPlanner(lengths, params.batch_tokens, params.seed)
    n_steps = settings.epochs * len(planner)
    rates = Rates(settings.learning_rate, settings.learning_rate, weight_decay=params.weight_decay)
    optimizer = build_optimizer(
        params.optimizer, parameter_groups(body(model).named_parameters(), (), rates)
    )
    warm_up = math.ceil(params.warmup_fraction * n_steps)
    schedule = get_scheduler("linear", optimizer, warm_up, n_steps)
    model.train()
    for batch in _progress(_batches(planner, pairs, settings.epochs), n_steps):
        with autocast(precision, trainer.args.device):
            loss = _loss(trainer, rows, batch)
        value = float(loss.detach())
        if not math.isfinite(value):
            fix = "lower finetune.few_shot.learning_rate, or set finetune.precision to fp32"
            raise DivergedError(f"the loss is {value}", expected="a finite loss", fix=fix)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(body(model).parameters(), params.max_gradient_norm)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return n_steps


def _batches(planner: BatchPlanner, pairs: Sequence[Pair], epochs: int) -> Iterator[list[Pair]]:
    for epoch in range(epochs):
        planner.set_epoch(epoch)
        for batch in planner:
            yield [pairs[index] for index in batch]


def _progress(batches: Iterator[list[Pair]], n_steps: int) -> Any:
    return tqdm(batches, total=n_steps, disable=not sys.stderr.isatty(), file=sys.stderr)


def _loss(
    trainer: StableTrainer, rows: Sequence[Sequence[int]], batch: Sequence[Pair]
) -> torch.Tensor:
    sides = [rows[pair.first] for pair in batch] + [rows[pair.second] for pair in batch]
    first, second = _embedded(trainer, sides).chunk(2)
    same = torch.tensor([pair.same for pair in batch], device=first.device)
    return cosine_loss(first, second, same, len(batch))


def _embedded(trainer: StableTrainer, rows: Sequence[Sequence[int]]) -> torch.Tensor:
    inputs = pad(rows, trainer.collator.pad_id)
    inputs = {name: tensor.to(trainer.args.device) for name, tensor in inputs.items()}
    states = body(trainer.steady.model)(**inputs).last_hidden_state
    return sentence_vectors(states.float(), inputs["attention_mask"])


@torch.no_grad()
def _vectors(trainer: StableTrainer, rows: Sequence[Sequence[int]]) -> torch.Tensor:
    """Return the sentence vectors of all rows in their order (n, width)."""
    return torch.cat([_embedded(trainer, rows[i : i + 32]) for i in range(0, len(rows), 32)])


@torch.no_grad()
def _fit(head: Any, vectors: torch.Tensor, labels: Sequence[int], settings: FewShotParams) -> None:
    targets = torch.tensor(labels, device=vectors.device)
    fitted = fit_logistic_head(
        vectors, targets, head.out_features, inverse_penalty=settings.inverse_penalty
    )
    head.weight.copy_(fitted.weight)
    head.bias.copy_(fitted.bias)


def _description(
    trainer: StableTrainer,
    model: torch.nn.Module,
    n_pairs: int,
    n_steps: int,
    settings: FewShotParams,
    precision: str,
) -> dict[str, Any]:
    """Return what happened, under the names that every training has."""
    encoded = trainer.train_rows.encoded
    n_parameters = sum(p.numel() for p in model.parameters())
    return {
        "history": [{"step": n_steps, **trainer.scores(model)}],
        "best_step": n_steps,
        "steps": n_steps,
        "steps_planned": n_steps,
        "precision": precision,
        "device": trainer.args.device.type,
        "learning_rate": settings.learning_rate,
        "n_parameters": n_parameters,
        "n_trainable": n_parameters,
        "n_tokens": sum(encoded.lengths),
        "n_truncated": encoded.n_truncated,
        "n_pairs": n_pairs,
    }
