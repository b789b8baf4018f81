"""A thin Trainer for plain text: own batches, losses over the tokens of a whole step."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch

from pipeline_steps.errors import TrainingError
from pipeline_steps.training import processes
from pipeline_steps.training.objectives.language_modelling import (
    CausalLanguageModel,
    MaskedLanguageModel,
)
from pipeline_steps.training.planned_trainer import PlannedTrainer
from pipeline_steps.training.resume import mark_complete


class ReadingTrainer(PlannedTrainer):
    """Trains a language model on rows whose questions change with the epoch.

    Parameters
    ----------
    problem : MaskedLanguageModel or CausalLanguageModel
        What is asked.
    """

    def __init__(
        self, *args: Any, problem: MaskedLanguageModel | CausalLanguageModel, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.problem = problem

    def compute_loss(  # type: ignore[override]
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: int | None = None,
    ) -> Any:
        """Return the loss of one batch as its share of the step."""
        asked = {name: value for name, value in inputs.items() if name != "labels"}
        outputs = model(**asked)
        loss = self.problem.loss(outputs, inputs["labels"], max(1, num_items_in_batch or 0))
        loss = loss * processes.n_processes()  # their gradients are averaged
        return (loss, outputs) if return_outputs else loss

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        if not math.isfinite(float(self._tr_loss)):
            raise TrainingError(
                f"the loss of pre-training is no number at step {self.state.global_step}",
                expected="a finite loss",
                fix="lower finetune.pretraining.learning_rate, or set finetune.precision to fp32",
            )
        super()._save_checkpoint(*args, **kwargs)
        checkpoint = Path(str(self.args.output_dir)) / f"checkpoint-{self.state.global_step}"
        processes.wait_for_all()  # each has written where its random numbers stand
        processes.led(lambda: mark_complete(checkpoint))
