"""Averages and recovery through fine-tuning: what is validated is kept, and a kill changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from killed_training import kill_training

from pipeline_steps.errors import TrainingError
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.inference.examples_file import read_examples
from pipeline_steps.inference.predictor import Predictor
from pipeline_steps.training.divergence import AlarmRule, RecoveryRule
from pipeline_steps.training.finetune import finetune
from pipeline_steps.training.trainer import StableTrainer
from pipeline_steps.training.watch import AstrayError, DivergedError, LossWatch
from pipeline_steps.types import Checkpoint

AVERAGES = {
    "ema": {"kind": "ema", "decay": 0.9},
    "swa": {"kind": "swa", "start_fraction": 0.2, "every_steps": 2},
}
# A rate at which the weights overflow soon after the second checkpoint; a 1e-6th of it is sound.
ASTRAY = {"optimizer": "sgd", "learning_rate": 1e4, "head_learning_rate": 1e4,
          "max_gradient_norm": 1e6, "warmup_fraction": 0.9, "checkpoints_per_epoch": 7,
          "recovery": {"rate_factor": 1e-6}}  # fmt: skip


def params(base: Path, **settings) -> FinetuneParams:
    return FinetuneParams.model_validate(
        {"base_model": str(base), "epochs": 2, "learning_rate": 1e-2, "batch_tokens": 128,
         "precision": "fp32", "early_stopping_patience": None, **settings}
    )  # fmt: skip


def run(base: Path, datasets, root: Path, **settings) -> Checkpoint:
    return finetune(*datasets, params(base, **settings), root / "out", work=root / "work")


def valid_loss(checkpoint: Checkpoint, datasets) -> float:
    rows = read_examples(datasets[1].path)
    logits = torch.tensor(Predictor.from_checkpoint(checkpoint.path).logits(rows.texts))
    truth = torch.tensor([checkpoint.labels.index(label) for label in rows.labels])
    return float(torch.nn.functional.cross_entropy(logits, truth))


@pytest.mark.parametrize(("kind", "tuning"), [("ema", "full"), ("swa", "full"), ("ema", "lora")])
def test_the_averaged_weights_of_the_best_epoch_are_saved(
    kind, tuning, base, datasets, tmp_path
) -> None:
    checkpoint = run(
        base, datasets, tmp_path, averaging=AVERAGES[kind], tuning={"kind": tuning}, epochs=4,
        early_stopping_metric="loss",
    )  # fmt: skip
    step = checkpoint.training["best_step"]
    (best,) = [p for p in checkpoint.training["history"] if p["step"] == step]
    assert valid_loss(checkpoint, datasets) == pytest.approx(best["loss"], rel=1e-5)
    plain = run(base, datasets, tmp_path / "plain", tuning={"kind": tuning}, epochs=4)
    assert plain.training["history"] != checkpoint.training["history"]


def test_a_killed_run_with_averages_ends_as_an_undisturbed_one(base, datasets, tmp_path) -> None:
    settings = {"averaging": AVERAGES["ema"], "checkpoints_per_epoch": 2}
    straight = run(base, datasets, tmp_path / "straight", **settings)
    per_epoch = straight.training["steps_planned"] // 2
    kill_training(per_epoch + 2, datasets, params(base, **settings), tmp_path / "broken")
    resumed = run(base, datasets, tmp_path / "broken", **settings)
    assert resumed.digest == straight.digest
    assert resumed.training["history"] == straight.training["history"]


@pytest.mark.slow
def test_a_run_that_goes_astray_returns_to_a_good_checkpoint_also_after_a_kill(
    base, datasets, tmp_path
) -> None:
    straight = run(base, datasets, tmp_path / "straight", **ASTRAY)
    last = straight.training["returns"][-1]
    assert last["reason"] == "not_finite"
    assert 0 < last["to"] <= last["step"]
    assert straight.training["steps"] == straight.training["steps_planned"]
    assert valid_loss(straight, datasets) < float("inf")
    kill_training(last["step"] + 5, datasets, params(base, **ASTRAY), tmp_path / "broken")
    resumed = run(base, datasets, tmp_path / "broken", **ASTRAY)
    assert resumed.digest == straight.digest
    assert resumed.training["returns"] == straight.training["returns"]


def test_a_run_that_stays_astray_is_given_up_with_what_to_change(base, datasets, tmp_path) -> None:
    with pytest.raises(
        DivergedError, match=r"after 2 return[\s\S]*0\.01 times[\s\S]*lower finetune\.learning_rate"
    ):
        run(
            base, datasets, tmp_path, learning_rate=1e30, head_learning_rate=1e30,
            recovery={"rate_factor": 0.1, "max_returns": 2},
        )  # fmt: skip


def test_without_recovery_a_loss_that_is_no_number_stops_the_run(base, datasets, tmp_path) -> None:
    with pytest.raises(TrainingError, match="the loss is nan at step"):
        run(base, datasets, tmp_path, learning_rate=1e30, head_learning_rate=1e30, recovery=None)


def test_recovery_changes_nothing_where_all_is_well(base, datasets, tmp_path) -> None:
    digests = {
        run(base, datasets, tmp_path / str(on), **({} if on else {"recovery": None})).digest
        for on in (True, False)
    }
    assert len(digests) == 1


class Interrupted(BaseException):
    """Ends a run where a kill would, but in this process."""


def test_ranks_shrink_to_the_target_also_in_a_run_that_was_interrupted(
    base, datasets, tmp_path, monkeypatch
) -> None:
    tuning = {"kind": "adalora", "initial_rank": 4, "target_rank": 1, "interval": 2}
    settings = {"tuning": tuning, "early_stopping_metric": "loss"}
    straight = run(base, datasets, tmp_path / "straight", **settings)
    assert straight.training["best_step"] >= 15  # the last taking is after half of the steps
    assert sum(straight.training["ranks"].values()) == 4  # two layers, query and value
    step = StableTrainer.training_step

    def interrupted(self, *args):
        if self.state.global_step == 20:
            raise Interrupted
        return step(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(StableTrainer, "training_step", interrupted)
        with pytest.raises(Interrupted):
            run(base, datasets, tmp_path / "broken", **settings)
    assert run(base, datasets, tmp_path / "broken", **settings).digest == straight.digest


def test_the_orthogonality_penalty_is_in_the_gradient_and_not_in_the_loss(
    base, datasets, tmp_path
) -> None:
    settings = {"kind": "adalora", "initial_rank": 4, "target_rank": 1}
    runs = [
        run(base, datasets, tmp_path / str(w), tuning={**settings, "orthogonality": w}, epochs=1)
        for w in (0.0, 0.5)
    ]
    assert runs[0].digest != runs[1].digest


def watch(**alarm: float) -> LossWatch:
    return LossWatch(RecoveryRule(alarm=AlarmRule(**{"warm_up": 5, "in_a_row": 2, **alarm})))


def test_a_loss_that_explodes_calls_for_a_return_to_the_checkpoint_before_it(tmp_path) -> None:
    found = watch()
    for step in range(8):
        for _ in range(2):  # two batches make a step
            found.add(torch.tensor(0.5))
        found.end_step(step)
    found.before_checkpoint(8, [torch.nn.Parameter(torch.ones(2))], valid_loss=1.0)
    found.add(torch.tensor(9.0))
    found.end_step(8)
    found.add(torch.tensor(9.0))
    with pytest.raises(AstrayError, match="9 at step 9") as error:
        found.end_step(9)
    assert error.value.standing.wanted_step() == 8
    assert error.value.standing.returns[-1]["reason"] == "exploded"


def test_a_second_return_to_the_same_checkpoint_goes_to_an_earlier_one(tmp_path) -> None:
    """Its weights were finite but spoilt: lower rates alone do not mend them."""
    found = watch()
    found.before_checkpoint(8, [], valid_loss=1.0)
    for wanted in (8, 7):
        found.add(torch.tensor(float("nan")))
        with pytest.raises(AstrayError) as error:
            found.end_step(8)
        assert error.value.standing.wanted_step() == wanted
        found = LossWatch(found.rule, error.value.standing.returned_to(8))


@pytest.mark.parametrize(("weight", "loss"), [(float("inf"), 1.0), (1.0, float("nan"))])
def test_spoilt_weights_make_no_good_checkpoint(weight, loss) -> None:
    with pytest.raises(AstrayError):
        watch().before_checkpoint(3, [torch.nn.Parameter(torch.tensor([weight]))], loss)


def test_what_a_watch_knows_comes_back_from_a_checkpoint(tmp_path) -> None:
    directory = tmp_path / "checkpoint-1"
    directory.mkdir()
    first, second = watch(), watch()
    for step in range(3):
        first.add(torch.tensor(0.1 * step))
        first.end_step(step)
    first.before_checkpoint(1, [], valid_loss=1.0)
    first.save(directory)
    second.load(directory)
    assert second.standing == first.standing
    assert second.rate_change == 1.0
