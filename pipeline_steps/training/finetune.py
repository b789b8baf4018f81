"""From dataset references to a checkpoint; killed at any point, the next call goes on."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase, set_seed

from pipeline_steps.errors import CheckpointError
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.inference.base_model import resolve_base_model
from pipeline_steps.inference.checkpoint import load_checkpoint
from pipeline_steps.inference.forward import best_device
from pipeline_steps.inference.learners.learner import Learner
from pipeline_steps.inference.precision import choose_precision
from pipeline_steps.inference.tokenization import be_quiet
from pipeline_steps.training import processes
from pipeline_steps.training.arguments import training_arguments
from pipeline_steps.training.attempts import train_steadily
from pipeline_steps.training.combinations import refuse_combinations, refuse_without_rows
from pipeline_steps.training.data import Collator, EncodedDataset
from pipeline_steps.training.further import further_digests
from pipeline_steps.training.hidden_states import projection_names
from pipeline_steps.training.inputs import Inputs
from pipeline_steps.training.material import gathered
from pipeline_steps.training.normalising import tokenizer_for
from pipeline_steps.training.objective_assembly import (
    Ground,
    objectives_of,
    refuse_objective_mistakes,
)
from pipeline_steps.training.pair_learning import train_from_pairs
from pipeline_steps.training.preparation import prepared_model, refuse_too_long
from pipeline_steps.training.pretraining import pretrained_directory, read_texts
from pipeline_steps.training.prompting import write_prompted
from pipeline_steps.training.replaying import plan_batches
from pipeline_steps.training.result import write_result
from pipeline_steps.training.resume import is_complete
from pipeline_steps.training.several import train_several
from pipeline_steps.training.sharded_trainer import ShardedTrainer
from pipeline_steps.training.sharding import refuse_sharded
from pipeline_steps.training.steadiness import Attempt, Steadiness
from pipeline_steps.training.trainer import Listener, StableTrainer
from pipeline_steps.types import Checkpoint, DatasetRef


def finetune(
    train: DatasetRef,
    valid: DatasetRef,
    params: FinetuneParams,
    output: Path,
    *,
    work: Path,
    problem: str = "text_classification",
    listener: Listener | None = None,
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
    listener : callable, optional
        Told the number of each evaluation, from 1, and its scores; what it raises ends the
        training, which a later call would go on with.

    Raises
    ------
    CheckpointError
        If the base model is missing, is not the expected one or does not fit.
    TrainingError
        If the training rows cannot be learnt from, or the loss diverges.
    """
    refuse_combinations(params, problem)
    base = resolve_base_model(params.base_model, params.base_digest)
    inputs = Inputs(train, valid, base, params, problem, further_digests(params))
    finished = _finished(output, inputs)
    if finished is not None:
        return finished
    refuse_objective_mistakes(problem, params)
    processes.refuse_alone_only(params)
    refuse_sharded(params)
    be_quiet()
    set_seed(params.seed)
    if params.tuning.kind == "in_context":
        return write_prompted(inputs, params.tuning, output)
    refuse_without_rows(train, valid)
    ready = _having_read(inputs, work)
    if params.n_runs > 1:
        checkpoint = train_several(
            ready, output, work, _train_once, lambda: _build(ready, work / "scoring")[0]
        )
    else:
        checkpoint = _train_once(ready, output, work, listener)
    processes.led(lambda: shutil.rmtree(work, ignore_errors=True))
    return checkpoint


def _train_once(
    inputs: Inputs, output: Path, work: Path, listener: Listener | None = None
) -> Checkpoint:
    finished = _finished(output, inputs)
    if finished is not None:
        return finished
    tokenizer = tokenizer_for(inputs)
    few_shot = inputs.params.few_shot
    if few_shot is not None:
        trainer = _seeded(inputs, work, Attempt(), listener)
        return train_from_pairs(trainer, tokenizer, inputs, few_shot, output)
    trainer = train_steadily(lambda attempt: _seeded(inputs, work, attempt, listener), work)
    if isinstance(trainer, ShardedTrainer):
        train, problem, pad_id = trainer.train_rows, trainer.problem, trainer.collator.pad_id
        trainer.make_whole(lambda: _prepared(inputs, trainer.labels, train, problem, pad_id)[0])
    checkpoint = processes.led(
        lambda: write_result(trainer, tokenizer, trainer.labels, inputs, output)
    )
    processes.led(lambda: shutil.rmtree(work, ignore_errors=True))
    return checkpoint


def _seeded(
    inputs: Inputs, work: Path, attempt: Attempt, listener: Listener | None
) -> StableTrainer:
    seed, head_seed = inputs.params.seed, inputs.head_seed
    set_seed(seed if head_seed is None else head_seed)
    trainer = _build(inputs, work, attempt)[0]
    if head_seed is not None:
        set_seed(seed)
    trainer.listener = listener
    processes.draw_apart(seed)
    return trainer


def _build(
    inputs: Inputs, work: Path, attempt: Attempt | None = None
) -> tuple[StableTrainer, tuple[str, ...], PreTrainedTokenizerBase]:
    params, device = inputs.params, best_device()
    found = gathered(inputs, device)
    model, head_names = _prepared(inputs, found.labels, found.train, found.problem, found.pad_id)
    both = (found.train.encoded, found.valid.encoded)
    refuse_too_long(model, (len(ids) for rows in both for ids in rows.ids_read))
    precision = choose_precision(params.precision, device)
    ground = Ground(params, model, head_names, found, device=device, precision=precision, work=work)
    trainer = _trainer(ground, attempt or Attempt())
    return trainer, found.labels, found.tokenizer


def _prepared(
    inputs: Inputs, labels: tuple[str, ...], train: EncodedDataset, problem: Learner, pad_id: int
) -> tuple[torch.nn.Module, tuple[str, ...]]:
    """Return the model as it is trained, and its head's parameter names."""
    base, device = inputs.base.path, best_device()
    return prepared_model(
        base, labels, train, inputs.params, problem=problem, pad_id=pad_id, device=device
    )


def _trainer(ground: Ground, attempt: Attempt) -> StableTrainer:
    params, model, found = ground.params, ground.model, ground.material
    objectives = objectives_of(ground)  # first: they may add to the model and record in the rows
    n_batches = len(plan_batches(found.train, params))
    kind = ShardedTrainer if params.hardware.sharded else StableTrainer
    return kind(
        model=model,
        args=training_arguments(
            params,
            ground.work,
            steps_per_epoch=-(-n_batches // params.accumulation_steps),
            precision=ground.precision,
            device=ground.device,
            show_progress=sys.stderr.isatty(),
        ),
        train_dataset=found.train,
        eval_dataset=found.valid,
        data_collator=Collator(found.pad_id, found.problem.as_tensor, found.problem.more_inputs),
        params=params,
        head_names={*ground.head_names, *projection_names(model)},
        problem=found.problem,
        labels=found.labels,
        valid_examples=found.valid_examples,
        objectives=objectives,
        steady=Steadiness(params, model, attempt, ground.device),
    )


def _having_read(inputs: Inputs, work: Path) -> Inputs:
    """Return the inputs with a base that has read the texts of ``finetune.pretraining``."""
    if inputs.params.pretraining is None:
        return inputs
    directory = pretrained_directory(inputs, work)
    if not processes.led(lambda: is_complete(directory)):
        _build(inputs, work)  # what does not fit is refused before anything is read
        read_texts(inputs, directory)
        set_seed(inputs.params.seed)
    return replace(inputs, base=replace(inputs.base, path=directory))


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
        and found.further_digests == inputs.further
        and found.parameters == inputs.params.model_dump(mode="json")
    )
    return found if same else None
