"""A Trainer whose batches are planned: what training on a task and reading plain text share."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import PrinterCallback, ProgressCallback, Trainer

from pipeline_steps.training import processes
from pipeline_steps.training.batching import BatchPlanner
from pipeline_steps.training.epochs import EpochCallback
from pipeline_steps.training.progress import QuietBar


class PlannedTrainer(Trainer):
    """Takes its batches from a planner, and counts the items of a whole accumulated step.

    A subclass has a ``problem`` that says with ``n_items`` what a batch's labels hold, rows, words
    or tokens, and divides its loss by the items of the step.

    Parameters
    ----------
    planner : BatchPlanner
        Which rows go together.
    """

    # The loss is already divided by the items of the whole accumulated step.
    loss_is_scaled_for_ga = True
    problem: Any

    def __init__(self, *args: Any, planner: BatchPlanner, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.planner = planner
        self.train_rows: Any = kwargs["train_dataset"]
        self.collator: Any = kwargs["data_collator"]
        self.remove_callback(PrinterCallback)
        if self.pop_callback(ProgressCallback) is not None:
            self.add_callback(QuietBar())
        self.add_callback(EpochCallback(self.planner, self.train_rows))

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return the planner's batches, prepared for the device."""
        loader = DataLoader(self.train_rows, batch_sampler=self.planner, collate_fn=self.collator)
        prepared: DataLoader[Any] = self.accelerator.prepare(loader)
        return prepared

    def get_batch_samples(
        self,
        epoch_iterator: Iterator[Any],
        num_batches: int,
        device: torch.device,  # noqa: ARG002
    ) -> tuple[list[Any], int]:
        """Return the batches of one step and how many items they hold together."""
        batches = list(itertools.islice(epoch_iterator, num_batches))
        n_items = sum(self.problem.n_items(batch["labels"]) for batch in batches)
        return batches, processes.summed(n_items, self.args.device)

    def _init_training_state(
        self, max_steps: int, steps_per_epoch: int, n_epochs: int, checkpoint: Any, trial: Any
    ) -> tuple[int, int]:
        """Return how many epochs, and steps of the next one, are behind the checkpoint.

        All of them, where the run was stopped there: the Trainer forgets that, and a run that was
        killed before its result was written would be trained on.
        """
        behind = super()._init_training_state(
            max_steps, steps_per_epoch, n_epochs, checkpoint, trial
        )
        return (n_epochs, 0) if self.control.should_training_stop else behind
