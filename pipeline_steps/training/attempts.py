"""A training brought to its end: after a return to an earlier checkpoint it is attempted anew."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

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
        If the loss goes astray once more than ``finetune.recovery`` allows.
    """
    attempt: Attempt | None = Attempt()
    while attempt is not None:
        trainer = build(attempt)
        attempt = _attempted(trainer, work, attempt)
        if attempt is not None:
            del trainer
            gc.collect()
    best = trainer.state.best_model_checkpoint
    trainer.steady.keep_validated_weights(best)
    return trainer


def _attempted(trainer: StableTrainer, work: Path, attempt: Attempt) -> Attempt | None:
    """Return what the next attempt must know; None: this one came to the end."""
    found = last_complete(work)
    try:
        trainer.train(resume_from_checkpoint=None if found is None else str(found))
    except AstrayError as error:
        checkpoint = return_to(work, error.standing.wanted_step())
        step = 0 if checkpoint is None else step_of(checkpoint)
        standing = error.standing.returned_to(step)
        factor = standing.recovery.rate_factor
        _LOG.warning("%s; back to step %d with rates times %g", error.received, step, factor)
        return replace(attempt, standing=standing)
    return None
