"""From dataset references to a checkpoint; killed at any point, the next call goes on."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from transformers import PreTrainedTokenizerBase, set_seed

from pipeline_steps.errors import CheckpointError
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.inference.base_model import resolve_base_model
from pipeline_steps.inference.checkpoint import load_checkpoint
from pipeline_steps.inference.examples_file import ExampleRows, read_examples
from pipeline_steps.inference.forward import best_device
from pipeline_steps.inference.learners.catalog import get_learner
from pipeline_steps.inference.learners.learner import Learner
from pipeline_steps.inference.precision import choose_precision
from pipeline_steps.inference.tokenization import be_quiet, load_tokenizer
from pipeline_steps.training.arguments import training_arguments
from pipeline_steps.training.batching import BatchPlanner
from pipeline_steps.training.data import Collator, EncodedDataset
from pipeline_steps.training.inputs import Inputs
from pipeline_steps.training.preparation import prepared_model
from pipeline_steps.training.result import write_result
from pipeline_steps.training.resume import last_complete
from pipeline_steps.training.trainer import StableTrainer
from pipeline_steps.types import Checkpoint, DatasetRef


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
    checkpoint = write_result(trainer, tokenizer, labels, inputs, output)
    shutil.rmtree(work, ignore_errors=True)
    return checkpoint


def _build(
    inputs: Inputs, work: Path
) -> tuple[StableTrainer, tuple[str, ...], PreTrainedTokenizerBase]:
    params = inputs.params
    problem = get_learner(
        inputs.problem,
        params.label_smoothing,
        generation=params.generation,
        path=inputs.base.path,
        decoded_rows=params.generation.validation_rows,
    )
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
        data_collator=Collator(pad_id, problem.as_tensor, problem.more_inputs),
        params=params,
        head_names=set(head_names),
        problem=problem,
        labels=labels,
        valid_examples=valid_examples,
    )
    return trainer, labels, tokenizer


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
