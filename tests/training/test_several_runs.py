"""Several seeds, soups of them, and the way back to the base, through fine-tuning."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pipeline_steps.errors import TrainingError
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.inference.checkpoint import load_checkpoint
from pipeline_steps.inference.examples_file import read_examples
from pipeline_steps.inference.predictor import Predictor
from pipeline_steps.training import finetune as step
from pipeline_steps.training.watch import DivergedError
from pipeline_steps.types import Checkpoint


def params(base: Path, **settings) -> FinetuneParams:
    return FinetuneParams.model_validate(
        {"base_model": str(base), "epochs": 2, "learning_rate": 1e-2, "batch_tokens": 256,
         "precision": "fp32", "early_stopping_metric": "loss", **settings}
    )  # fmt: skip


def run(base: Path, datasets, root: Path, **settings) -> Checkpoint:
    return step.finetune(*datasets, params(base, **settings), root / "out", work=root / "work")


def weights(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    return load_file(checkpoint.path / "model.safetensors")


def valid_loss(checkpoint: Checkpoint, datasets) -> float:
    rows = read_examples(datasets[1].path)
    logits = torch.tensor(Predictor.from_checkpoint(checkpoint.path).logits(rows.texts))
    truth = torch.tensor([checkpoint.labels.index(label) for label in rows.labels])
    return float(torch.nn.functional.cross_entropy(logits, truth))


@pytest.fixture(scope="module")
def singles(base, datasets, tmp_path_factory) -> list[Checkpoint]:
    root = tmp_path_factory.mktemp("singles")
    return [run(base, datasets, root / str(seed), seed=seed) for seed in (3, 4, 5)]


def best_loss(checkpoint: Checkpoint) -> float:
    return min(point["loss"] for point in checkpoint.training["history"])


def test_the_best_of_several_seeds_is_the_run_that_this_seed_gives_alone(
    base, datasets, tmp_path, singles
) -> None:
    found = run(base, datasets, tmp_path, seed=3, n_runs=3)
    assert found.digest == min(singles, key=best_loss).digest
    runs = found.training["runs"]
    assert runs["seeds"] == [3, 4, 5]
    assert runs["metric"] == "accuracy"
    assert runs["baseline"] == 0.5
    assert len(runs["chosen"]) == 1
    assert runs["min"] <= runs["mean"] <= runs["max"]
    assert runs["std"] >= 0
    assert load_checkpoint(found.path) == found
    assert not (tmp_path / "work").exists()


def test_finished_seeds_are_not_trained_again_after_an_interruption(
    base, datasets, tmp_path, monkeypatch
) -> None:
    trained, train = [], step.StableTrainer.train

    def noted(self, **kwargs):
        trained.append(self.params.seed)
        if trained == [0, 1]:
            raise KeyboardInterrupt
        return train(self, **kwargs)

    monkeypatch.setattr(step.StableTrainer, "train", noted)
    with pytest.raises(KeyboardInterrupt):
        run(base, datasets, tmp_path, n_runs=3)
    run(base, datasets, tmp_path, n_runs=3)
    assert trained == [0, 1, 1, 2]


def test_a_uniform_soup_is_the_mean_of_runs_that_start_from_one_head(
    base, datasets, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(step.shutil, "rmtree", lambda *_, **__: None)
    soup = run(base, datasets, tmp_path, n_runs=2, combine="uniform_soup")
    members = [
        load_file(tmp_path / f"work/seed-{seed}/checkpoint/model.safetensors") for seed in (0, 1)
    ]
    mixed = weights(soup)
    for name, tensor in mixed.items():
        assert torch.allclose(tensor, (members[0][name] + members[1][name]) / 2, atol=1e-7)
    heads = [member["classifier.weight"] for member in members]
    assert float((heads[0] - heads[1]).abs().max()) < float(heads[0].abs().max())
    assert soup.training["runs"]["chosen"] == [0, 1]
    assert soup.training["validation"]["loss"] == pytest.approx(
        valid_loss(soup, datasets), rel=1e-5
    )


def test_a_greedy_soup_is_no_worse_on_the_valid_rows_than_its_best_run(
    base, datasets, tmp_path
) -> None:
    soup = run(base, datasets, tmp_path, n_runs=3, combine="greedy_soup")
    assert valid_loss(soup, datasets) == pytest.approx(
        soup.training["validation"]["loss"], rel=1e-5
    )
    assert soup.training["validation"]["loss"] <= best_loss(soup) + 1e-6


def test_runs_that_learn_nothing_count_as_failed(base, datasets, tmp_path) -> None:
    found = run(
        base, datasets, tmp_path, n_runs=2, learning_rate=1e-12, head_learning_rate=1e-12, epochs=1
    )
    runs = found.training["runs"]
    expected = [s for s, score in zip(runs["seeds"], runs["scores"], strict=True) if score <= 0.5]
    assert expected
    assert runs["failed"] == expected
    assert runs["failed_rate"] == len(expected) / 2


def test_runs_that_all_diverge_are_an_error_and_one_that_does_is_counted(
    base, datasets, tmp_path, monkeypatch
) -> None:
    train = step.StableTrainer.train

    def diverging(self, **kwargs):
        if self.params.seed == 0:
            raise DivergedError("the loss is nan at step 1", expected="", fix="")
        return train(self, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(step.StableTrainer, "train", diverging)
        runs = run(base, datasets, tmp_path, n_runs=2).training["runs"]
    assert runs["scores"][0] is None
    assert runs["failed"][0] == 0
    assert runs["chosen"] == [1]
    with pytest.raises(DivergedError, match=r"all 2 runs diverged[\s\S]*lower"):
        run(base, datasets, tmp_path / "all", n_runs=2, learning_rate=1e30, head_learning_rate=1e30,
            recovery=None)  # fmt: skip


def test_the_way_back_stands_between_base_and_tuned_weights(
    base, datasets, tmp_path, singles
) -> None:
    found = run(base, datasets, tmp_path, seed=3, wise_ft={"alpha": 0.25})
    below, tuned = load_file(base / "model.safetensors"), weights(singles[0])
    name = "bert.encoder.layer.0.output.dense.weight"
    wanted = 0.75 * below[name.removeprefix("bert.")] + 0.25 * tuned[name]
    assert torch.allclose(weights(found)[name], wanted, atol=1e-7)
    assert torch.equal(weights(found)["classifier.weight"], tuned["classifier.weight"])
    assert found.training["wise_ft"]["alpha"] == 0.25


def test_alpha_is_chosen_on_the_valid_rows(base, datasets, tmp_path, singles) -> None:
    found = run(base, datasets, tmp_path, seed=3, wise_ft={"alphas": [0.0, 0.5, 1.0]})
    scores = found.training["wise_ft"]["scores"]
    best = min(scores.values(), key=lambda point: point["loss"])
    assert found.training["validation"] == best
    assert valid_loss(found, datasets) == pytest.approx(best["loss"], rel=1e-5)
    kept = run(base, datasets, tmp_path / "kept", seed=3, wise_ft={"alpha": 1.0})
    for name, tensor in weights(kept).items():
        assert torch.equal(tensor, weights(singles[0])[name])


def test_soups_go_the_way_back_too(base, datasets, tmp_path) -> None:
    found = run(base, datasets, tmp_path, n_runs=2, combine="uniform_soup", wise_ft={"alpha": 0.0})
    below = load_file(base / "model.safetensors")
    name = "encoder.layer.1.attention.self.query.weight"
    assert torch.equal(weights(found)[f"bert.{name}"], below[name])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"combine": "greedy_soup"}, r"n_runs is 1[\s\S]*set finetune\.n_runs to 3"),
        (
            {"combine": "uniform_soup", "n_runs": 2, "tuning": {"kind": "prompt"}},
            r"kind is prompt[\s\S]*full, head",
        ),
        (
            {"combine": "uniform_soup", "n_runs": 2, "reinitialise_layers": 1},
            "different random layers",
        ),
        ({"wise_ft": {}, "tuning": {"kind": "lora"}}, r"kind lora[\s\S]*set .* to full"),
        ({"wise_ft": {}, "reinitialise_layers": 1}, "did not start from the base"),
        (
            {"wise_ft": {}, "student_layers": [1]},
            r"student_layers \[1\]: the base has other layers",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_trained(
    settings, message, base, datasets, tmp_path
) -> None:
    with pytest.raises(TrainingError, match=message):
        run(base, datasets, tmp_path, **settings)
    assert not list(tmp_path.iterdir())
