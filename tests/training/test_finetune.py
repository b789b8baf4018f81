"""Fine-tuning: it learns, repeats itself, survives a kill to the same bytes, refuses nonsense."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import torch
from builders import write_examples
from killed_training import kill_training
from safetensors.torch import load_file, save_file
from tiny_models import TARGETS, save_tiny_model

from pipeline_steps.errors import CheckpointError, TrainingError
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.inference.checkpoint import META, load_checkpoint
from pipeline_steps.inference.predictor import Predictor
from pipeline_steps.training import finetune as step
from pipeline_steps.training.finetune import finetune
from pipeline_steps.training.resume import last_complete

TEXTS = ["the film was good", "the film was bad", "it is", "my card and my very good login"]


def params(base: Path, **settings) -> FinetuneParams:
    return FinetuneParams.model_validate(
        {"base_model": str(base), "epochs": 2, "learning_rate": 3e-3, "batch_tokens": 128,
         "precision": "fp32", **settings}
    )  # fmt: skip


def run(base: Path, datasets, root: Path, **settings):
    return finetune(*datasets, params(base, **settings), root / "out", work=root / "work")


def test_a_checkpoint_is_learnt_and_answers_texts(base, datasets, tmp_path) -> None:
    checkpoint = run(base, datasets, tmp_path, epochs=12, early_stopping_patience=None)
    history = checkpoint.training["history"]
    assert max(point["accuracy"] for point in history) >= 0.9
    assert checkpoint.labels == ("minus", "plus")
    assert not (tmp_path / "work").exists()
    assert load_checkpoint(checkpoint.path) == checkpoint
    answers = Predictor.from_checkpoint(checkpoint.path).predict(TEXTS[:2])
    assert [answer["label"] for answer in answers] == ["plus", "minus"]
    made = json.loads((checkpoint.path / META).read_text(encoding="utf-8"))["provenance"]
    assert made["git_commit"] is None  # that of the rows' repository, not of where tests run


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(base, datasets, tmp_path) -> None:
    digests = [
        run(base, datasets, tmp_path / str(i), seed=seed).digest for i, seed in enumerate((0, 0, 1))
    ]
    assert digests[0] == digests[1] != digests[2]


def test_a_finished_checkpoint_is_not_trained_again(base, datasets, tmp_path) -> None:
    first = run(base, datasets, tmp_path)
    changed = first.path.stat().st_mtime_ns
    assert run(base, datasets, tmp_path) == first
    assert first.path.stat().st_mtime_ns == changed
    assert run(base, datasets, tmp_path, weight_decay=0.5).digest != first.digest


def test_a_terminal_shows_a_bar_with_figures_and_standard_output_stays_empty(
    base, datasets, tmp_path, capfd, monkeypatch
) -> None:
    """`holdfast train --json | jq` in a terminal: only the JSON may go down the pipe."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    run(base, datasets, tmp_path)
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "100%" in shown.err
    assert re.search(r"loss \d\.\d{3}.*valid accuracy [01]\.\d{3}", shown.err)


def test_the_best_epoch_is_kept_and_a_hopeless_run_stops_early(base, datasets, tmp_path) -> None:
    checkpoint = run(
        base, datasets, tmp_path, epochs=20, learning_rate=1e-9, head_learning_rate=1e-9,
        early_stopping_patience=2,
    )  # fmt: skip
    training = checkpoint.training
    assert training["steps"] < training["steps_planned"]
    best = max(training["history"], key=lambda point: (point["accuracy"], -point["step"]))
    assert training["best_step"] == best["step"]


def test_a_killed_run_ends_with_the_weights_of_an_undisturbed_one(base, datasets, tmp_path) -> None:
    """Killed in the middle of epoch 1 and again in epoch 2, between checkpoints."""
    settings = {"epochs": 3, "checkpoints_per_epoch": 2}
    straight = run(base, datasets, tmp_path / "straight", **settings)
    steps_per_epoch = straight.training["steps_planned"] // 3
    broken = tmp_path / "broken"
    kill_training(steps_per_epoch // 2 + 1, datasets, params(base, **settings), broken)
    kill_training(
        steps_per_epoch + steps_per_epoch // 2 + 2, datasets, params(base, **settings), broken
    )
    resumed = run(base, datasets, broken, **settings)
    assert resumed.digest == straight.digest
    assert resumed.training["history"] == straight.training["history"]


class Interrupted(BaseException):
    """Ends a run where a kill would, but in this process."""


def test_a_run_that_had_stopped_early_is_not_trained_on_after_a_kill(
    base, datasets, tmp_path, monkeypatch
) -> None:
    """Killed when all was learnt and nothing written: a later epoch would have been better."""
    settings = {"epochs": 6, "early_stopping_patience": 1, "early_stopping_metric": "accuracy"}
    straight = run(base, datasets, tmp_path / "straight", **settings)
    assert straight.training["steps"] < straight.training["steps_planned"]

    def interrupted(*_) -> None:
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(step, "write_result", interrupted)
        with pytest.raises(Interrupted):
            run(base, datasets, tmp_path / "broken", **settings)
    resumed = run(base, datasets, tmp_path / "broken", **settings)
    assert resumed.digest == straight.digest
    assert resumed.training == straight.training


def test_a_truncated_trainer_checkpoint_is_passed_over(base, datasets, tmp_path) -> None:
    settings = {"epochs": 3}
    straight = run(base, datasets, tmp_path / "straight", **settings)
    steps_per_epoch = straight.training["steps_planned"] // 3
    broken = tmp_path / "broken"
    kill_training(2 * steps_per_epoch + 1, datasets, params(base, **settings), broken)
    newest = last_complete(broken / "work")
    weights = newest / "optimizer.pt"
    weights.write_bytes(weights.read_bytes()[:100])
    assert last_complete(broken / "work") != newest
    assert run(base, datasets, broken, **settings).digest == straight.digest


def test_a_truncated_checkpoint_is_refused_and_made_anew(base, datasets, tmp_path) -> None:
    checkpoint = run(base, datasets, tmp_path)
    weights = checkpoint.path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="is truncated or was altered"):
        load_checkpoint(checkpoint.path)
    assert run(base, datasets, tmp_path).digest == checkpoint.digest


def test_a_checkpoint_without_its_marker_is_unfinished(base, datasets, tmp_path) -> None:
    checkpoint = run(base, datasets, tmp_path)
    (checkpoint.path / "meta.json").unlink()
    with pytest.raises(CheckpointError, match="is no finished checkpoint"):
        load_checkpoint(checkpoint.path)


def test_another_base_than_the_named_digest_is_refused(base, datasets, tmp_path) -> None:
    with pytest.raises(CheckpointError, match="expected: sha256 0000"):
        run(base, datasets, tmp_path, base_digest="0" * 64)


def test_a_base_with_missing_body_weights_is_refused(base, datasets, tmp_path) -> None:
    crippled = shutil.copytree(base, tmp_path / "crippled")
    weights = load_file(crippled / "model.safetensors")
    removed = [name for name in weights if "layer.1.attention.self.query" in name]
    assert removed
    kept = {name: tensor for name, tensor in weights.items() if name not in removed}
    save_file(kept, crippled / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="lacks 2 weights of BertForSequenceClassification"):
        run(crippled, datasets, tmp_path)


def test_a_base_that_is_nowhere_is_refused(base, datasets, tmp_path) -> None:
    with pytest.raises(CheckpointError, match="neither a directory nor to be had from the hub"):
        run(Path("no/such-model"), datasets, tmp_path)


def test_pickled_weights_are_never_read(base, datasets, tmp_path) -> None:
    pickled = shutil.copytree(base, tmp_path / "pickled")
    torch.save(load_file(pickled / "model.safetensors"), pickled / "pytorch_model.bin")
    (pickled / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"there is no model\.safetensors"):
        run(pickled, datasets, tmp_path)


def test_a_loss_that_is_no_number_stops_the_run(base, datasets, tmp_path) -> None:
    with pytest.raises(TrainingError, match="the loss is nan at step"):
        run(base, datasets, tmp_path, learning_rate=1e30, head_learning_rate=1e30, epochs=5)


def test_master_weights_are_fp32_even_if_the_base_is_stored_in_half(
    base, datasets, tmp_path
) -> None:
    half = shutil.copytree(base, tmp_path / "half")
    weights = {name: t.half() for name, t in load_file(half / "model.safetensors").items()}
    save_file(weights, half / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((half / "config.json").read_text())
    (half / "config.json").write_text(json.dumps({**config, "dtype": "float16"}))
    checkpoint = run(half, datasets, tmp_path)
    stored = load_file(checkpoint.path / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float32}


def test_rows_that_are_longer_than_a_base_can_read_are_refused(base, datasets, tmp_path) -> None:
    text = {"text": "the film was good " * 20, "label": "plus"}
    path = write_examples(tmp_path / "long.parquet", [text, {"text": "bad", "label": "minus"}])
    rows = datasets[0].model_copy(update={"path": path, "digest": "other", "n_examples": 2})
    message = r"has 82 tokens, and BertForSequence.* 64 positions[\s\S]*max_length to 64 or less"
    for train, valid in ((rows, datasets[1]), (datasets[0], rows)):
        with pytest.raises(TrainingError, match=message):
            run(base, (train, valid), tmp_path)
    pretraining = {"kind": "mlm", "examples": str(path)}
    with pytest.raises(TrainingError, match=r"has 82 tokens, and BertForMaskedLM 64 positions"):
        run(base, datasets, tmp_path, pretraining=pretraining)
    assert run(base, (rows, datasets[1]), tmp_path, max_length=64, epochs=1).training["steps"] > 0


def test_unknown_target_modules_are_refused_with_those_that_exist(base, datasets, tmp_path) -> None:
    with pytest.raises(TrainingError, match=r"names Wqkv, which this model lacks[\s\S]*query"):
        run(base, datasets, tmp_path, tuning={"kind": "lora", "target_modules": ["Wqkv"]})


@pytest.mark.parametrize("kind", ["full", "lora"])
@pytest.mark.parametrize("architecture", sorted(TARGETS))
def test_what_was_validated_is_what_is_loaded_again(
    architecture: str, kind: str, datasets, tmp_path: Path
) -> None:
    """Saved, loaded by plain transformers and run: the recorded validation accuracy comes out."""
    from transformers import AutoModelForSequenceClassification

    from pipeline_steps.inference.examples_file import read_examples

    base = save_tiny_model(tmp_path / "base", architecture)
    targets = list(TARGETS[architecture])
    settings = {"target_modules": targets, "rank": 4, "alpha": 8} if kind == "lora" else {}
    checkpoint = run(
        base, datasets, tmp_path, tuning={"kind": kind, **settings}, epochs=2, learning_rate=2e-2,
    )  # fmt: skip
    model, info = AutoModelForSequenceClassification.from_pretrained(
        checkpoint.path, output_loading_info=True
    )
    assert not info["missing_keys"]
    assert model.config.id2label == {0: "minus", 1: "plus"}
    rows = read_examples(datasets[1].path)
    logits = Predictor.from_checkpoint(checkpoint.path).logits(rows.texts)
    predicted = [checkpoint.labels[index] for index in logits.argmax(axis=1)]
    accuracy = sum(p == t for p, t in zip(predicted, rows.labels, strict=True)) / len(rows)
    best = max(point["accuracy"] for point in checkpoint.training["history"])
    assert accuracy == pytest.approx(best)
