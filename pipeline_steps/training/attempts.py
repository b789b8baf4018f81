"""A training brought to its end: attempted anew after a return, or after the memory ran out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pipeline_steps.errors import TrainingError
from pipeline_steps.inference.learners.bi_encoder import BiEncoderLearner
from pipeline_steps.inference.memory import is_out_of_memory, release_memory
from pipeline_steps.training import processes
from pipeline_steps.training.memory import halved, refuse_parts
from pipeline_steps.training.resume import last_complete, return_to, step_of
from pipeline_steps.training.steadiness import Attempt
from pipeline_steps.training.trainer import StableTrainer
from pipeline_steps.training.watch import AstrayError

_LOG = logging.getLogger(__name__)


def train_steadily(build: Callable[[Attempt], StableTrainer], work: Path) -> StableTrainer:
    """Return the trainer that came to the end, with the weights that were validated best.

    Every attempt is built from nothing, as a new process would build it: what one attempt leaves
    in memory, generators included, cannot reach the next.

    Parameters
    ----------
    build : callable
        Returns a trainer at its beginning; it seeds all generators.
    work : Path
        Directory of the trainer's checkpoints.

    Raises
    ------
    TrainingError
        If the loss goes astray once more than ``finetune.recovery`` allows, or the memory holds no
        two rows, or not a whole batch whose rows are compared.
    """
    attempt: Attempt | None = Attempt()
    while attempt is not None:
        trainer = build(attempt)
        attempt = _attempted(trainer, work, attempt)
        if attempt is not None:
            del trainer
            release_memory()
    trainer.steady.keep_validated_weights(trainer.state.best_model_checkpoint)
    return trainer


def _attempted(trainer: StableTrainer, work: Path, attempt: Attempt) -> Attempt | None:
    """Return what the next attempt must know; None: this one came to the end."""
    found = processes.led(lambda: last_complete(work))
    try:
        trainer.train(resume_from_checkpoint=None if found is None else str(found))
    except AstrayError as error:
        standing = error.standing
        checkpoint = processes.led(lambda: return_to(work, standing.wanted_step()))
        step = 0 if checkpoint is None else step_of(checkpoint)
        standing = error.standing.returned_to(step)
        factor = standing.recovery.rate_factor
        _LOG.warning("%s; back to step %d with rates times %g", error.received, step, factor)
        return replace(attempt, standing=standing, n_parts=trainer.steady.parts.n_parts)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error) or processes.n_processes() > 1:  # the others go on
            raise
        return replace(attempt, n_parts=_more_parts(trainer, error))
    return None


def _more_parts(trainer: StableTrainer, error: RuntimeError | MemoryError) -> int:
    """Return twice as many parts of a batch, after the memory ran out.

    Raises
    ------
    TrainingError
        If a part would be shorter than the longest row, or would not teach what the batch does.
    """
    params, parts = trainer.params, trainer.steady.parts
    budget = parts.budget(params.batch_tokens, params.accumulation_steps)
    try:
        refuse_parts(budget, _comparing_rows(trainer))
        smaller = halved(budget, max(trainer.train_rows.encoded.lengths))
    except TrainingError as refusal:
        raise refusal from error
    _LOG.warning(
        "the memory ran out with %d tokens in a batch; on with %d and %d batches in a step",
        budget.batch_tokens,
        smaller.batch_tokens,
        smaller.accumulation_steps,
    )
    return 2 * parts.n_parts


def _comparing_rows(trainer: StableTrainer) -> list[str]:
    """Return what is asked of the rows of a batch together, and not row by row."""
    asked = {
        "finetune.selector bi": isinstance(trainer.problem, BiEncoderLearner),
        "finetune.objective.contrastive": trainer.params.objective.contrastive is not None,
    }
    return [name for name, is_asked in asked.items() if is_asked]
