"""Every kind of ``finetune.tuning`` from parameters to a checkpoint that answers as validated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders import write_examples
from safetensors.torch import load_file
from tiny_models import save_tiny_model

from pipeline_steps.digests import file_digest
from pipeline_steps.errors import TrainingError
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.inference.examples_file import read_examples
from pipeline_steps.inference.predictor import Predictor
from pipeline_steps.training.finetune import finetune
from pipeline_steps.types import Checkpoint, DatasetRef

KINDS: dict[str, dict[str, Any]] = {
    "full": {"freeze_embeddings": True},
    "head": {},
    "top_layers": {"n_layers": 1},
    "bitfit": {},
    "lora": {"rank": 4, "alpha": 8, "dropout": 0.1, "decomposed": True, "scaling": "sqrt_rank"},
    "adalora": {"initial_rank": 4, "target_rank": 2, "warm_share": 0.0, "interval": 1},
    "ia3": {},
    "houlsby": {"size": 8},
    "pfeiffer": {"reduction": 4},
    "prompt": {"n_tokens": 4},
    "prefix": {"n_tokens": 4},
}
UNMERGED = ("houlsby", "pfeiffer", "prompt", "prefix")


def params(base: Path, **settings: Any) -> FinetuneParams:
    return FinetuneParams.model_validate(
        {"base_model": str(base), "epochs": 1, "learning_rate": 1e-2, "batch_tokens": 256,
         "precision": "fp32", **settings}
    )  # fmt: skip


def run(base: Path, data, root: Path, problem: str = "text_classification", **settings: Any):
    return finetune(
        *data, params(base, **settings), root / "out", work=root / "work", problem=problem
    )


def sentences(path: Path, n: int, seed: int) -> DatasetRef:
    """Return sentences whose entities are "card" (a thing) and "I" (a person)."""
    generator = np.random.default_rng(seed)
    tags = {"card": "B-thing", "I": "B-person"}
    content = []
    for _ in range(n):
        words = generator.choice(["card", "I", "the", "was", "good", "my"], 6).tolist()
        target = json.dumps({"tokens": words, "tags": [tags.get(word, "O") for word in words]})
        content.append({"text": " ".join(words), "target": target})
    write_examples(path, content)
    return DatasetRef(
        name=path.stem, split=path.stem, path=path, digest=file_digest(path, "md5"), n_examples=n
    )


@pytest.fixture(scope="module")
def tagged(tmp_path_factory) -> tuple[DatasetRef, DatasetRef]:
    root = tmp_path_factory.mktemp("tagged")
    return sentences(root / "train.parquet", 40, 0), sentences(root / "valid.parquet", 20, 1)


def best(checkpoint: Checkpoint, metric: str) -> float:
    return max(point[metric] for point in checkpoint.training["history"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_tuned_classifier_answers_as_it_was_validated(kind, base, datasets, tmp_path) -> None:
    checkpoint = run(base, datasets, tmp_path, tuning={"kind": kind, **KINDS[kind]})
    rows = read_examples(datasets[1].path)
    logits = Predictor.from_checkpoint(checkpoint.path).logits(rows.texts)
    predicted = [checkpoint.labels[index] for index in logits.argmax(axis=1)]
    accuracy = np.mean([p == t for p, t in zip(predicted, rows.labels, strict=True)])
    assert accuracy == pytest.approx(best(checkpoint, "accuracy"))
    shifted = torch.tensor(logits).log_softmax(dim=1)
    truth = [checkpoint.labels.index(label) for label in rows.labels]
    loss = -shifted[torch.arange(len(truth)), truth].mean()
    step = checkpoint.training["best_step"]
    (point,) = [p for p in checkpoint.training["history"] if p["step"] == step]
    assert float(loss) == pytest.approx(point["loss"], rel=1e-4)
    assert (checkpoint.path / "adapter").is_dir() == (kind in UNMERGED)


@pytest.mark.parametrize("kind", ["bitfit", "lora", "houlsby", "prompt", "prefix"])
def test_a_tuned_tagger_answers_as_it_was_validated(kind, base, tagged, tmp_path) -> None:
    checkpoint = run(
        base, tagged, tmp_path, "ner", tuning={"kind": kind, **KINDS[kind]}, epochs=3,
        early_stopping_metric="entity_f1",
    )  # fmt: skip
    rows = read_examples(tagged[1].path)
    table = Predictor.from_checkpoint(checkpoint.path).table(rows)
    truth, predicted = ([json.loads(t) for t in c] for c in (table.truth, table.predicted))
    from pipeline_steps.problems.ner import entity_f1

    found = entity_f1(list(zip(truth, predicted, strict=True)))["entity_f1"]
    assert found == pytest.approx(best(checkpoint, "entity_f1"))


def test_frozen_embeddings_are_those_of_the_base(base, datasets, tmp_path) -> None:
    checkpoint = run(base, datasets, tmp_path, tuning={"kind": "full", "freeze_embeddings": True})
    before = load_file(base / "model.safetensors")["embeddings.word_embeddings.weight"]
    after = load_file(checkpoint.path / "model.safetensors")
    assert torch.equal(after["bert.embeddings.word_embeddings.weight"], before)


@pytest.mark.parametrize("optimizer", ["sgd", "adafactor", "radam", "nadam"])
def test_every_optimizer_trains(optimizer, base, datasets, tmp_path) -> None:
    checkpoint = run(base, datasets, tmp_path, optimizer=optimizer, layer_decay=0.5)
    assert np.isfinite(best(checkpoint, "loss"))
    assert checkpoint.parameters["optimizer"] == optimizer


def test_layers_drawn_anew_change_the_result(base, datasets, tmp_path) -> None:
    digests = {run(base, datasets, tmp_path / str(n), reinitialise_layers=n).digest for n in (0, 1)}
    assert len(digests) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tuning": {"kind": "lora", "target_modules": ["c_attn"]}}, "which this model lacks"),
        (
            {"tuning": {"kind": "lora", "target_modules": ["classifier"]}},
            r"lacks outside of its head[\s\S]*among dense, key, query, value",
        ),
        (
            {"tuning": {"kind": "prompt", "n_tokens": 70}},
            "no position[\\s\\S]*7 learnt tokens less",
        ),
        ({"tuning": {"kind": "top_layers", "n_layers": 2}}, "a number from 1 to 1"),
        ({"tuning": {"kind": "lora"}, "reinitialise_layers": 1}, "would stay random"),
        ({"reinitialise_layers": 3}, "a number from 1 to 2"),
        pytest.param(
            {"tuning": {"kind": "qlora"}},
            r"a CUDA GPU[\s\S]*kind to lora",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="refused on a CPU only"),
        ),
    ],
)
def test_what_does_not_fit_the_model_is_refused(
    settings, message, base, datasets, tmp_path
) -> None:
    with pytest.raises(TrainingError, match=message):
        run(base, datasets, tmp_path, **settings)
    assert not (tmp_path / "work").exists()


def test_a_prefix_is_refused_where_layers_take_none(datasets, tmp_path) -> None:
    base = save_tiny_model(tmp_path / "base", "modernbert")
    with pytest.raises(TrainingError, match=r"accept no past keys and values[\s\S]*choose prompt"):
        run(base, datasets, tmp_path, tuning={"kind": "prefix"})
