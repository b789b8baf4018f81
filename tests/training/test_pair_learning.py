"""Few-shot fine-tuning: it learns from few rows, answers the same when loaded, refuses the rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import save_tiny_model
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from tuned_models import save_base

from pipeline_steps.errors import TrainingError
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.inference.examples_file import read_examples
from pipeline_steps.inference.predictor import Predictor
from pipeline_steps.training.finetune import finetune
from pipeline_steps.types import Checkpoint

FEW = {"n_iterations": 1, "learning_rate": 1e-2}


def run(base: Path, datasets, root: Path, problem="text_classification", **settings) -> Checkpoint:
    params = FinetuneParams.model_validate(
        {"base_model": str(base), "batch_tokens": 512, "precision": "fp32", "few_shot": FEW,
         **settings}
    )  # fmt: skip
    return finetune(*datasets, params, root / "out", work=root / "work", problem=problem)


def accuracy(checkpoint: Checkpoint, datasets) -> float:
    rows = read_examples(datasets[1].path)
    answers = Predictor.from_checkpoint(checkpoint.path).predict(rows.texts)
    return float(np.mean([a["label"] == t for a, t in zip(answers, rows.labels, strict=True)]))


@pytest.mark.parametrize(
    "architecture", ["bert", "distilbert", "roberta", "deberta-v2", "modernbert"]
)
def test_what_was_validated_is_what_is_loaded_again(architecture, datasets, tmp_path) -> None:
    base = save_tiny_model(tmp_path / "base", architecture)
    checkpoint = run(base, datasets, tmp_path)
    (point,) = checkpoint.training["history"]
    assert accuracy(checkpoint, datasets) == pytest.approx(point["accuracy"])
    assert checkpoint.training["n_pairs"] == 2 * 120
    assert not (tmp_path / "work").exists()


def test_pairs_teach_what_the_labels_are_about(base, datasets, tmp_path) -> None:
    frozen = run(base, datasets, tmp_path / "frozen", few_shot={**FEW, "learning_rate": 1e-12})
    taught = run(base, datasets, tmp_path / "taught", few_shot={**FEW, "n_iterations": 20})
    assert accuracy(taught, datasets) >= 0.9
    assert accuracy(taught, datasets) > accuracy(frozen, datasets)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(base, datasets, tmp_path) -> None:
    digests = [
        run(base, datasets, tmp_path / str(i), seed=seed).digest for i, seed in enumerate((0, 0, 1))
    ]
    assert digests[0] == digests[1] != digests[2]


def test_the_loaded_model_reads_the_mean_of_the_last_states(base, datasets, tmp_path) -> None:
    checkpoint = run(base, datasets, tmp_path)
    plain = AutoModelForSequenceClassification.from_pretrained(checkpoint.path / "plain").eval()
    tokenizer = AutoTokenizer.from_pretrained(checkpoint.path)
    inputs = tokenizer("the film was good", return_tensors="pt")
    with torch.no_grad():
        states = plain.bert(**inputs).last_hidden_state.mean(dim=1)
        wanted = plain.classifier(states).numpy()
    found = Predictor.from_checkpoint(checkpoint.path).logits(["the film was good"])
    assert np.allclose(found, wanted, atol=1e-5)


def test_several_seeds_of_few_shot_learning_are_compared(base, datasets, tmp_path) -> None:
    runs = run(base, datasets, tmp_path, n_runs=2).training["runs"]
    assert runs["seeds"] == [0, 1]
    assert len(runs["chosen"]) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"problem": "ner"}, "the problem ner"),
        ({"tuning": {"kind": "lora"}}, r"together with tuning\.kind: lora"),
        ({"precision": "fp16"}, r"together with precision: fp16"),
        ({"averaging": {"kind": "ema"}, "wise_ft": {}}, r"averaging\.kind: ema, wise_ft"),
        ({"n_runs": 2, "combine": "uniform_soup"}, "combine: uniform_soup"),
        ({"loss": {"kind": "focal"}, "layer_decay": 0.9}, r"layer_decay: 0\.9, loss\.kind: focal"),
        (
            {"accumulation_steps": 2, "hardware": {"gradient_checkpointing": True}},
            r"accumulation_steps: 2, hardware\.gradient_checkpointing",
        ),
    ],
)
def test_what_does_not_go_with_pairs_is_refused(
    settings, message, base, datasets, tmp_path
) -> None:
    with pytest.raises(TrainingError, match=message):
        run(base, datasets, tmp_path, **settings)
    assert not list(tmp_path.iterdir())


def test_a_decoder_is_refused(datasets, tmp_path) -> None:
    base = save_base(tmp_path / "base", "llama")
    AutoTokenizer.from_pretrained(save_tiny_model(tmp_path / "other")).save_pretrained(base)
    with pytest.raises(TrainingError, match="name a sentence encoder"):
        run(base, datasets, tmp_path)
