"""Killed and resumed under the Trainer: the same weights, whatever is tuned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Trainer, TrainingArguments
from tuned_models import METHODS, ROWS, TARGETS, with_head

from pipeline_steps.inference.forward import pad
from pipeline_steps.training.averaging import ExponentialAverage
from pipeline_steps.training.tuning.adaptive_rank import (
    AdaptiveRank,
    RankAllocator,
    RankCallback,
)

N_STEPS, STOP = 8, 4
ADALORA = AdaptiveRank(
    initial_rank=4, target_rank=1, alpha=8, warm_share=0.0, final_share=0.3, interval=1
)


class WithState(Trainer):
    """Keeps the tensors of averages and ranks beside its checkpoints: how they are wired."""

    parts: dict[str, Any]

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        super()._save_checkpoint(*args, **kwargs)
        directory = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        for name, part in self.parts.items():
            save_file(part.state_dict(), directory / f"{name}.safetensors")

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        for name, part in self.parts.items():
            part.load_state_dict(load_file(Path(resume_from_checkpoint) / f"{name}.safetensors"))

    def training_step(self, model: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        if "average" in self.parts and self.state.global_step:
            self.parts["average"].step(self.model.named_parameters())
        return super().training_step(model, *args, **kwargs)


def rows() -> list[dict[str, Any]]:
    return [{"ids": row, "labels": label} for row, label in zip(ROWS, TARGETS, strict=True)]


def collate(batch: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    labels = torch.tensor([row["labels"] for row in batch])
    return {**pad([row["ids"] for row in batch], 0), "labels": labels}


def trainer(base: Path, method: str, output: Path) -> WithState:
    model, head = with_head(base)
    tuning = ADALORA if method == "adalora" else METHODS[method]
    tuned = tuning.apply(model, head)
    arguments = TrainingArguments(
        output_dir=str(output), max_steps=N_STEPS, save_steps=STOP, learning_rate=0.05,
        per_device_train_batch_size=2, use_cpu=True, report_to=[], disable_tqdm=True,
        remove_unused_columns=False, log_level="error", dataloader_pin_memory=False,
    )  # fmt: skip
    found = WithState(tuned, arguments, data_collator=collate, train_dataset=rows())
    found.parts = {"average": ExponentialAverage(0.9)}
    if isinstance(tuning, AdaptiveRank):
        allocator = RankAllocator(tuned, tuning)
        found.parts["ranks"] = allocator
        found.add_callback(RankCallback(allocator))
    return found


@pytest.mark.parametrize("method", ["lora", "adalora", "ia3", "houlsby", "prefix"])
def test_a_resumed_run_ends_with_the_weights_of_an_undisturbed_one(method, bases, tmp_path) -> None:
    straight = trainer(bases["bert"], method, tmp_path)
    straight.train()
    resumed = trainer(bases["bert"], method, tmp_path)
    resumed.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{STOP}"))
    wanted = straight.model.state_dict()
    for name, tensor in resumed.model.state_dict().items():
        assert torch.equal(tensor, wanted[name]), name
    averages = straight.parts["average"].averages()
    for name, tensor in resumed.parts["average"].averages().items():
        assert torch.equal(tensor, averages[name]), name
    if method == "adalora":
        ranks = straight.parts["ranks"].ranks()
        assert resumed.parts["ranks"].ranks() == ranks
        assert sum(ranks.values()) == 4
