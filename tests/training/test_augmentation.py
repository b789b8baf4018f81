"""``finetune.augmentation``: noise by seed, epoch and row, more of it from epoch to epoch."""

from __future__ import annotations

import math

import pytest
import torch
from objective_runs import run
from safetensors.torch import load_file

from pipeline_steps.errors import ConfigurationError, TrainingError
from pipeline_steps.objective_params import AugmentationParams
from pipeline_steps.params import parse_params
from pipeline_steps.training.augmentation import Augmentation

TEXTS = [f"the card number {i} was not good at all" for i in range(200)]


def augmentation(seed: int = 0, **settings) -> Augmentation:
    """Return one whose token ids are the characters of the texts."""

    def encode(texts, pairs):
        return [[ord(letter) for letter in text + (pair or "")] for text, pair in zip(texts, pairs, strict=True)]  # fmt: skip

    asked = AugmentationParams(**settings)
    return Augmentation(asked, TEXTS, [None] * len(TEXTS), encode, seed)


def changed(made: Augmentation, epoch: int) -> dict[int, list[int]]:
    made.set_epoch(epoch)
    return made.changed


def test_noise_is_a_function_of_seed_epoch_and_row() -> None:
    first, again, other = augmentation(), augmentation(), augmentation(seed=1)
    assert changed(first, 3) == changed(again, 3)
    assert changed(first, 4) != changed(again, 3)
    assert changed(other, 3) != changed(again, 3)
    assert changed(first, 3) == changed(again, 3)


def test_about_the_asked_share_of_rows_is_changed() -> None:
    made = augmentation(probability=0.3)
    assert 0.2 < len(changed(made, 0)) / len(TEXTS) < 0.4
    originals = [[ord(letter) for letter in text] for text in TEXTS]
    assert sum(ids != originals[row] for row, ids in made.changed.items()) > 20
    assert changed(augmentation(probability=0.0), 0) == {}


def test_the_share_grows_over_the_ramp() -> None:
    made = augmentation(probability=1.0, ramp_epochs=4)
    shares = [len(changed(made, epoch)) / len(TEXTS) for epoch in range(6)]
    assert shares[0] == 0.0
    assert shares == sorted(shares)
    assert shares[4:] == [1.0, 1.0]


def test_noise_is_learnt_from_with_teachers_and_earlier_rows(base, data, tmp_path) -> None:
    teacher = run(base, data, tmp_path / "teacher", seed=5)
    objective = {
        "distillation": {"teachers": [str(teacher.path)]},
        "lwf": {"checkpoint": str(teacher.path)},
        "replay": {"examples": str(data["text_classification"][1].path), "share": 0.2},
    }
    settings = {"augmentation": {"typos": 0.1}, "objective": objective, "epochs": 2}
    first, again = (run(base, data, tmp_path / n, **settings) for n in "ab")
    assert first.digest == again.digest
    assert (
        first.digest != run(base, data, tmp_path / "c", **{**settings, "augmentation": None}).digest
    )
    parts = [point["train_LwF"] for point in first.training["history"]]
    assert all(math.isfinite(value) and value > 0 for value in parts)
    stored = load_file(first.path / "model.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in stored.values())


def test_problems_whose_answers_have_places_are_refused(base, data, tmp_path) -> None:
    message = r"finetune\.augmentation: in ner what is asked stands at places"
    with pytest.raises(TrainingError, match=message):
        run(base, data, tmp_path, "ner", augmentation={})
    with pytest.raises(ConfigurationError, match=message):
        parse_params(
            {"problem": "ner", "ingest": {"sources": [{"path": "a.csv"}]},
             "finetune": {"augmentation": {}}},
            source="params.yaml",
        )  # fmt: skip
