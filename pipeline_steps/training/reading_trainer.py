"""A thin Trainer for plain text: own batches, losses over the tokens of a whole step."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import PrinterCallback, ProgressCallback, Trainer

from pipeline_steps.errors import TrainingError
from pipeline_steps.training.batching import BatchPlanner
from pipeline_steps.training.epochs import EpochCallback
from pipeline_steps.training.objectives.language_modelling import (
    CausalLanguageModel,
    MaskedLanguageModel,
    TokenLabelCollator,
)
from pipeline_steps.training.progress import QuietBar
from pipeline_steps.training.resume import mark_complete


class ReadingTrainer(Trainer):
    """Trains a language model on rows whose questions change with the epoch.

    Parameters
    ----------
    problem : MaskedLanguageModel or CausalLanguageModel
        What is asked.
    planner : BatchPlanner
        Which rows go together.
    pad_id : int
        The token that fills.
    """

    loss_is_scaled_for_ga = True

    def __init__(
        self,
        *args: Any,
        problem: MaskedLanguageModel | CausalLanguageModel,
        planner: BatchPlanner,
        pad_id: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.problem = problem
        self.planner = planner
        self.rows: Any = kwargs["train_dataset"]
        self.collator = TokenLabelCollator(pad_id)
        self.remove_callback(PrinterCallback)
        if self.pop_callback(ProgressCallback) is not None:
            self.add_callback(QuietBar())
        self.add_callback(EpochCallback(self.planner, self.rows))

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return the planner's batches, prepared for the device."""
        loader = DataLoader(self.rows, batch_sampler=self.planner, collate_fn=self.collator)
        prepared: DataLoader[Any] = self.accelerator.prepare(loader)
        return prepared

    def get_batch_samples(
        self,
        epoch_iterator: Iterator[Any],
        num_batches: int,
        device: torch.device,  # noqa: ARG002
    ) -> tuple[list[Any], int]:
        """Return the batches of one step and how many tokens they ask for."""
        batches = list(itertools.islice(epoch_iterator, num_batches))
        return batches, sum(self.problem.count(batch["labels"]) for batch in batches)

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
        return (loss, outputs) if return_outputs else loss

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        if not math.isfinite(float(self._tr_loss)):
            raise TrainingError(
                f"the loss of pre-training is no number at step {self.state.global_step}",
                expected="a finite loss",
                fix="lower finetune.pretraining.learning_rate, or set finetune.precision to fp32",
            )
        super()._save_checkpoint(*args, **kwargs)
        mark_complete(Path(str(self.args.output_dir)) / f"checkpoint-{self.state.global_step}")
