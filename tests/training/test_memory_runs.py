"""A model that really asks for more memory than there is, and the run that goes on in parts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from objective_runs import dataset

from pipeline_steps.errors import TrainingError
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.training import finetune as step
from pipeline_steps.training.memory import BatchParts


def params(base: Path, **settings) -> FinetuneParams:
    return FinetuneParams.model_validate(
        {"base_model": str(base), "epochs": 2, "learning_rate": 3e-3, "batch_tokens": 128,
         "precision": "fp32", **settings}
    )  # fmt: skip


@pytest.fixture
def hungry(monkeypatch):
    """Return a list: after so many forward passes, in training, the limit of tokens holds."""
    prepared, waiting, limit = step.prepared_model, [0], [10**9]

    def ask(module, _, inputs) -> None:
        waiting[0] -= module.training
        if module.training and waiting[0] < 0 and inputs["input_ids"].numel() > limit[0]:
            torch.empty(2**60)  # the allocator refuses

    def with_hook(*args, **kwargs):
        model, head = prepared(*args, **kwargs)
        model.register_forward_pre_hook(ask, with_kwargs=True)
        return model, head

    monkeypatch.setattr(step, "prepared_model", with_hook)

    def set_limit(tokens: int, after: int = 0) -> None:
        waiting[0], limit[0] = after, tokens

    return set_limit


def run(base: Path, datasets, root: Path, problem: str = "text_classification", **settings):
    asked, work = params(base, **settings), root / "work"
    return step.finetune(*datasets, asked, root / "out", work=work, problem=problem)


def test_batches_are_halved_until_they_fit_and_the_steps_stay_the_same(
    base, datasets, tmp_path, hungry, caplog
) -> None:
    whole = run(base, datasets, tmp_path / "whole", tuning={"kind": "head"})
    hungry(50)
    found = run(base, datasets, tmp_path / "halved", tuning={"kind": "head"})
    assert found.training["batches"] == {"batch_tokens": 32, "accumulation_steps": 4}
    assert "batches" not in whole.training
    assert "ran out with 128 tokens" in caplog.text
    for name in ("steps", "steps_planned", "best_step"):
        assert found.training[name] == whole.training[name]
    for point, other in zip(found.training["history"], whole.training["history"], strict=True):
        assert point["loss"] == pytest.approx(other["loss"], abs=0.02)  # dropout draws anew


def test_memory_that_runs_out_late_costs_the_steps_since_the_last_checkpoint(
    base, datasets, tmp_path, hungry, monkeypatch
) -> None:
    resumed_from = []
    train = step.StableTrainer.train

    def noted(self, resume_from_checkpoint=None):
        resumed_from.append(resume_from_checkpoint)
        return train(self, resume_from_checkpoint=resume_from_checkpoint)

    monkeypatch.setattr(step.StableTrainer, "train", noted)
    hungry(100, after=20)
    found = run(base, datasets, tmp_path)
    assert resumed_from[0] is None
    assert Path(resumed_from[1]).name == "checkpoint-15"
    assert found.training["batches"]["batch_tokens"] == 64


def test_memory_for_less_than_two_rows_is_refused_with_what_to_change(
    base, datasets, tmp_path, hungry
) -> None:
    hungry(0)
    with pytest.raises(TrainingError, match=r"ran out with 32 tokens[\s\S]*max_length"):
        run(base, datasets, tmp_path)


@pytest.mark.parametrize(
    ("problem", "settings", "named"),
    [
        ("text_classification", {"objective": {"contrastive": {}}}, r"objective\.contrastive"),
        ("response_selection", {"early_stopping_metric": "mrr"}, "selector bi"),
    ],
)
def test_rows_that_are_compared_with_each_other_are_not_parted(
    problem, settings, named, base, datasets, tmp_path, hungry
) -> None:
    if problem != "text_classification":
        datasets = [dataset(tmp_path, problem, name, 12) for name in ("train", "valid")]
    hungry(0)
    with pytest.raises(TrainingError, match=rf"{named} compares the rows[\s\S]*batch_tokens"):
        run(base, datasets, tmp_path, problem, **settings)


def test_parts_hold_every_row_once_and_know_their_number_again(tmp_path) -> None:
    parts = BatchParts(4)
    batch = {"input_ids": torch.arange(14).reshape(7, 2), "labels": torch.arange(7), "k": 3}
    cut = parts.of(batch)
    assert torch.equal(torch.cat([part["labels"] for part in cut]), batch["labels"])
    assert [len(part["input_ids"]) for part in cut] == [2, 2, 2, 1]
    assert {part["k"] for part in cut} == {3}
    assert len(parts.of({"input_ids": torch.zeros(2, 3)})) == 2
    parts.save(tmp_path)
    other = BatchParts(1)
    other.load(tmp_path)
    assert other == parts
