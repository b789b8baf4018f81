"""The checkpoint of a finished training: the model that was validated, and what happened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from pipeline_steps.inference.checkpoint import write_checkpoint
from pipeline_steps.inference.learners.catalog import get_learner
from pipeline_steps.inference.learners.learner import Learner
from pipeline_steps.inference.tokenization import normaliser_of, save_tokenizer
from pipeline_steps.provenance import provenance
from pipeline_steps.training.arguments import learning_rates
from pipeline_steps.training.assembly import tuning_of
from pipeline_steps.training.combining import Scorer, way_back
from pipeline_steps.training.inputs import Inputs
from pipeline_steps.training.preparation import n_learning, whole_model
from pipeline_steps.training.trainer import StableTrainer
from pipeline_steps.types import Checkpoint

_CODE = ("training", "inference", "problems")
_EVALUATED = "eval_"


def write_result(
    trainer: StableTrainer,
    tokenizer: PreTrainedTokenizerBase,
    labels: tuple[str, ...],
    inputs: Inputs,
    output: Path,
) -> Checkpoint:
    """Return the checkpoint after writing what was trained, merged where that is exact."""
    model = whole_model(trainer.model)  # type: ignore[arg-type]
    n_trainable = n_learning(model)
    plain: Any = tuning_of(inputs.params).finish(model)
    n_parameters = sum(p.numel() for p in plain.parameters())
    training = _describe_training(trainer, n_parameters, n_trainable)
    training |= _normaliser_note(tokenizer)
    notes = returned_towards_base(plain, inputs, labels, trainer.scores)
    if notes:
        training |= {**notes, "validation": dict(trainer.scores(plain))}

    def save(directory: Path) -> None:
        plain.save_pretrained(directory)
        save_tokenizer(tokenizer, directory)

    return write_checkpoint(output, save, describer(inputs, labels, training))


def _normaliser_note(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Return which normaliser the texts go through; nothing where they go through none."""
    normaliser = normaliser_of(tokenizer)
    if normaliser is None:
        return {}
    return {"normaliser": {"digest": normaliser.digest, "n_words": len(normaliser.weights)}}


def precision_of(arguments: Any) -> str:
    """Return the precision of a Trainer's arguments."""
    return "bf16" if arguments.bf16 else "fp16" if arguments.fp16 else "fp32"


def returned_towards_base(
    model: torch.nn.Module, inputs: Inputs, labels: tuple[str, ...], score: Scorer
) -> dict[str, Any]:
    """Return what ``finetune.wise_ft`` did to the weights of a plain model; without it, nothing."""
    if inputs.params.wise_ft is None:
        return {}
    base, head_names = _learner(inputs).build(inputs.base.path, labels)
    return way_back(model, base.state_dict(), head_names, score, inputs.params)


def _learner(inputs: Inputs) -> Learner:
    return get_learner(inputs.problem, selector=inputs.params.selector)


def _describe_training(
    trainer: StableTrainer, n_parameters: int, n_trainable: int
) -> dict[str, Any]:
    """Return what happened: evaluations, the best one, precision, padding, cut rows."""
    state = trainer.state
    train = trainer.train_rows
    body_rate, head_rate = learning_rates(trainer.params)
    trainer.planner.set_epoch(0)  # a run that was resumed at its end began no other
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
        "precision": precision_of(trainer.args),
        "device": trainer.args.device.type,
        "learning_rate": body_rate,
        "head_learning_rate": head_rate,
        "n_parameters": n_parameters,
        "n_trainable": n_trainable,
        "n_tokens": sum(train.encoded.lengths),
        "n_truncated": train.encoded.n_truncated,
        **trainer.steady.described(),
        "padding_efficiency": trainer.planner.padding_efficiency(train.encoded.lengths),
    }


def describer(
    inputs: Inputs, labels: tuple[str, ...], training: dict[str, Any]
) -> Callable[[str], dict[str, Any]]:
    """Return what makes a checkpoint's fields of its digest."""

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
            "further_digests": dict(inputs.further),
            "training": training,
            "provenance": provenance(inputs.train.path.parent, _CODE),
        }

    return describe
