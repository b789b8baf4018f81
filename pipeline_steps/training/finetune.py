"""From dataset references to a checkpoint; killed at any point, the next call goes on."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase, set_seed

from pipeline_steps.errors import CheckpointError
from pipeline_steps.inference.base_model import BaseModelRef, resolve_base_model
from pipeline_steps.inference.checkpoint import load_checkpoint, write_checkpoint
from pipeline_steps.inference.examples_file import ExampleRows, read_examples
from pipeline_steps.inference.forward import best_device
from pipeline_steps.inference.learners.catalog import get_learner
from pipeline_steps.inference.learners.learner import Learner
from pipeline_steps.inference.precision import choose_precision
from pipeline_steps.inference.tokenization import be_quiet, load_tokenizer
from pipeline_steps.params import FinetuneParams
from pipeline_steps.provenance import provenance
from pipeline_steps.training.arguments import learning_rates, training_arguments
from pipeline_steps.training.batching import BatchPlanner
from pipeline_steps.training.data import Collator, EncodedDataset
from pipeline_steps.training.dropout import use_lane_dropout, use_torch_attention
from pipeline_steps.training.embeddings import join_embeddings, split_embeddings
from pipeline_steps.training.lora import add_lora, merged
from pipeline_steps.training.resume import last_complete
from pipeline_steps.training.trainer import StableTrainer
from pipeline_steps.types import Checkpoint, DatasetRef

_CODE = ("training", "inference", "problems")
_EVALUATED = "eval_"


@dataclass(frozen=True)
class Inputs:
    """Everything that decides the weights."""

    train: DatasetRef
    valid: DatasetRef
    base: BaseModelRef
    params: FinetuneParams
    problem: str


def finetune(
    train: DatasetRef,
    valid: DatasetRef,
    params: FinetuneParams,
    output: Path,
    *,
    work: Path,
    problem: str = "text_classification",
) -> Checkpoint:
    """Return the checkpoint with the best validation score.

    Parameters
    ----------
    train, valid : DatasetRef
        Rows to learn from, and rows that decide when to stop.
    params : FinetuneParams
        Base model, tuning method, rates and budget.
    output : Path
        Directory of the checkpoint; a finished one of the same inputs is returned as it is.
    work : Path
        Directory of the trainer's own checkpoints, from which an interrupted run goes on to the
        same weights as an uninterrupted one. It is removed at the end.
    problem : str
        What the model is for.

    Raises
    ------
    CheckpointError
        If the base model is missing, is not the expected one or does not fit.
    TrainingError
        If the training rows cannot be learnt from, or the loss diverges.
    """
    base = resolve_base_model(params.base_model, params.base_digest)
    inputs = Inputs(train, valid, base, params, problem)
    finished = _finished(output, inputs)
    if finished is not None:
        return finished
    be_quiet()
    set_seed(params.seed)
    trainer, labels, tokenizer = _build(inputs, work)
    trainer.train(resume_from_checkpoint=_resume_point(work))
    checkpoint = _write(trainer, tokenizer, labels, inputs, output)
    shutil.rmtree(work, ignore_errors=True)
    return checkpoint


def _build(
    inputs: Inputs, work: Path
) -> tuple[StableTrainer, tuple[str, ...], PreTrainedTokenizerBase]:
    params = inputs.params
    problem = get_learner(inputs.problem, params.label_smoothing)
    tokenizer = load_tokenizer(inputs.base.path)
    train_examples, valid_examples = (read_examples(d.path) for d in (inputs.train, inputs.valid))
    labels = problem.labels_of(train_examples)
    train = _encoded(train_examples, problem, tokenizer, labels, params)
    valid = _encoded(valid_examples, problem, tokenizer, labels, params)
    device = best_device()
    pad_id = int(tokenizer.pad_token_id)
    model, head_names = prepared_model(
        inputs.base.path, labels, train, params, problem=problem, pad_id=pad_id, device=device
    )
    planner = BatchPlanner(train.encoded.lengths, params.batch_tokens, params.seed)
    arguments = training_arguments(
        params,
        work,
        steps_per_epoch=-(-len(planner) // params.accumulation_steps),
        precision=choose_precision(params.precision, device),
        device=device,
        show_progress=sys.stderr.isatty(),
    )
    trainer = StableTrainer(
        model=model,
        args=arguments,
        train_dataset=train,
        eval_dataset=valid,
        data_collator=Collator(pad_id, problem.as_tensor),
        params=params,
        head_names=set(head_names),
        problem=problem,
        labels=labels,
        valid_examples=valid_examples,
    )
    return trainer, labels, tokenizer


def prepared_model(
    base: Path,
    labels: tuple[str, ...],
    train: EncodedDataset,
    params: FinetuneParams,
    *,
    problem: Learner,
    pad_id: int,
    device: torch.device,
) -> tuple[torch.nn.Module, tuple[str, ...]]:
    """Return a base model ready to be trained on some rows, and its head's parameter names."""
    model, head_names = problem.build(base, labels)
    if params.method == "lora":
        model = add_lora(model, head_names, params.lora)
    else:
        split_embeddings(model, train.encoded.token_ids, pad_id)
    if device.type == "cpu":
        use_lane_dropout(model)
    return model, head_names


def _encoded(
    rows: ExampleRows,
    problem: Learner,
    tokenizer: PreTrainedTokenizerBase,
    labels: tuple[str, ...],
    params: FinetuneParams,
) -> EncodedDataset:
    encoded = problem.encode(tokenizer, rows, params.max_length, params.stride)
    return EncodedDataset(encoded, problem.targets(encoded, rows, labels))


def _resume_point(work: Path) -> str | None:
    checkpoint = last_complete(work)
    return None if checkpoint is None else str(checkpoint)


def _write(
    trainer: StableTrainer,
    tokenizer: PreTrainedTokenizerBase,
    labels: tuple[str, ...],
    inputs: Inputs,
    output: Path,
) -> Checkpoint:
    model: Any = trainer.model
    join_embeddings(model)
    use_torch_attention(model)
    n_trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    plain: Any = merged(model) if inputs.params.method == "lora" else model
    n_parameters = sum(p.numel() for p in plain.parameters())
    training = _describe_training(trainer, n_parameters, n_trainable)

    def save(directory: Path) -> None:
        plain.save_pretrained(directory)
        tokenizer.save_pretrained(directory)

    return write_checkpoint(output, save, _describer(inputs, labels, training))


def _describe_training(
    trainer: StableTrainer, n_parameters: int, n_trainable: int
) -> dict[str, Any]:
    """Return what happened: evaluations, the best one, precision, padding, cut rows."""
    state = trainer.state
    train = trainer.train_rows
    body_rate, head_rate = learning_rates(trainer.params)
    return {
        "history": [
            {
                "step": e["step"],
                **{
                    name.removeprefix(_EVALUATED): value
                    for name, value in e.items()
                    if name.startswith(_EVALUATED)
                },
            }
            for e in state.log_history
            if "eval_loss" in e
        ],
        "best_step": state.best_global_step,
        "steps": state.global_step,
        "steps_planned": state.max_steps,
        "precision": "bf16" if trainer.args.bf16 else "fp32",
        "device": trainer.args.device.type,
        "learning_rate": body_rate,
        "head_learning_rate": head_rate,
        "n_parameters": n_parameters,
        "n_trainable": n_trainable,
        "n_tokens": sum(train.encoded.lengths),
        "n_truncated": train.encoded.n_truncated,
        "padding_efficiency": trainer.planner.padding_efficiency(train.encoded.lengths),
    }


def _describer(
    inputs: Inputs, labels: tuple[str, ...], training: dict[str, Any]
) -> Callable[[str], dict[str, Any]]:
    def describe(digest: str) -> dict[str, Any]:
        return {
            "digest": digest,
            "problem": inputs.problem,
            "labels": labels,
            "base_model": inputs.base.name,
            "base_digest": inputs.base.digest,
            "parameters": inputs.params.model_dump(mode="json"),
            "train_digest": inputs.train.digest,
            "valid_digest": inputs.valid.digest,
            "training": training,
            "provenance": provenance(Path.cwd(), _CODE),
        }

    return describe


def _finished(output: Path, inputs: Inputs) -> Checkpoint | None:
    """Return the checkpoint in ``output`` if it is whole and was made from the same inputs."""
    try:
        found = load_checkpoint(output)
    except CheckpointError:  # missing, truncated or altered: it is made anew
        return None
    same = (
        found.train_digest == inputs.train.digest
        and found.valid_digest == inputs.valid.digest
        and found.base_digest == inputs.base.digest
        and found.parameters == inputs.params.model_dump(mode="json")
    )
    return found if same else None
