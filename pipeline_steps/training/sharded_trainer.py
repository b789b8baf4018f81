"""The trainer of a model whose weights are shared out: what it saves is whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from pipeline_steps.training import processes
from pipeline_steps.training.sharding import (
    learning_sum,
    load_optimizer_state,
    load_weights,
    save_weights,
    shard,
    whole_optimizer_state,
    whole_weights,
)
from pipeline_steps.training.trainer import StableTrainer

_OPTIMIZER, _SCHEDULER = "optimizer.pt", "scheduler.pt"


class ShardedTrainer(StableTrainer):
    """Fine-tunes a model of which every process holds a share.

    All processes go through everything that gathers weights, validation too: one that stayed away
    would leave the others waiting.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        shard(self.model, self.args.device)  # type: ignore[arg-type]
        # What transformers calls a model that shares itself out: no DDP goes around it. Said after
        # the rest, because the Trainer would refuse to save one; here it is saved.
        self.is_distributed_loading_by_transformers = True

    def scores_of_all(self, model: torch.nn.Module) -> dict[str, float]:
        """Return the scores on all validation rows, which every process computes.

        What stands in no layer is gathered before: a text that is written is read by the encoder
        alone, which does not ask for it.
        """
        shared: Any = model
        shared.unshard()
        return self.scores(model)

    def learning_weights(self) -> Iterable[torch.Tensor]:
        """Return one number that stands for all weights."""
        return [learning_sum(self.model)]  # type: ignore[arg-type]

    def make_whole(self, build: Callable[[], torch.nn.Module]) -> None:
        """Put the trained weights into a whole model, in the leader, and go on with that one.

        Parameters
        ----------
        build : callable
            Returns a model as this one was before it was shared out.
        """
        state = whole_weights(self.model)  # type: ignore[arg-type]
        if processes.rank() == 0:
            plain = build()
            plain.load_state_dict(state)
            self.model = self.steady.model = plain.to(self.args.device)

    def _save(
        self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None
    ) -> None:
        whole = whole_weights(self.model) if state_dict is None else state_dict  # type: ignore[arg-type]
        if self.args.should_save:
            save_weights(whole, Path(output_dir or str(self.args.output_dir)))

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        state = whole_optimizer_state(self.model, self.optimizer)  # type: ignore[arg-type]
        if self.args.should_save:
            torch.save(state, Path(output_dir) / _OPTIMIZER)
            torch.save(self._schedule.state_dict(), Path(output_dir) / _SCHEDULER)

    @property
    def _schedule(self) -> Any:
        return self.lr_scheduler

    @contextmanager
    def _defer_fsdp_gradient_reduction(self) -> Iterator[None]:
        """Let gradients of all but a step's last batch wait where they are."""
        shared: Any = self.model
        shared.set_requires_gradient_sync(False)
        try:
            yield
        finally:
            shared.set_requires_gradient_sync(True)

    def _load_model(self, checkpoint: str, model: Any) -> None:  # noqa: ARG002 - as it is asked
        load_weights(self.model, Path(checkpoint))  # type: ignore[arg-type]

    def _load_steps(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        found = [
            torch.load(Path(checkpoint) / name, map_location="cpu", weights_only=True)
            for name in (_OPTIMIZER, _SCHEDULER)
        ]
        load_optimizer_state(self.model, self.optimizer, found[0])  # type: ignore[arg-type]
        self._schedule.load_state_dict(found[1])

    def _load_best_model(self) -> None:
        load_weights(self.model, Path(str(self.state.best_model_checkpoint)))  # type: ignore[arg-type]
