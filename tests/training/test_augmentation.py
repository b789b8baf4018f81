"""``finetune.augmentation``: noise by seed, epoch and row, more of it from epoch to epoch."""

from __future__ import annotations

import math

import pytest
import torch
from objective_runs import run
from safetensors.torch import load_file

from pipeline_steps.errors import ConfigurationError, TrainingError
from pipeline_steps.inference.examples_file import ExampleRows
from pipeline_steps.objective_params import AugmentationParams
from pipeline_steps.params import parse_params
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.training.augmentation import Augmentation, Window

TEXTS = [f"the card number {i} was not good at all" for i in range(200)]
N = len(TEXTS)
ROWS = ExampleRows([f"r{i}" for i in range(N)], TEXTS, [None] * N, ["a"] * N, [""] * N, {})


def letters(rows: ExampleRows) -> list[list[Window]]:
    """Return one window a row, whose token ids are the characters of its texts."""
    return [[([ord(c) for c in text + (pair or "")], 0)] for text, pair in zip(rows.texts, rows.pairs, strict=True)]  # fmt: skip


def augmentation(seed: int = 0, **settings) -> Augmentation:
    asked = AugmentationParams(**settings)
    return Augmentation(asked, ROWS, get_problem("text_classification"), letters, seed)


def changed(made: Augmentation, epoch: int) -> dict[int, Window]:
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
    originals = [window for of_row in letters(ROWS) for window in of_row]
    assert sum(window != originals[row] for row, window in made.changed.items()) > 20
    assert changed(augmentation(probability=0.0), 0) == {}


def test_the_share_grows_over_the_ramp() -> None:
    made = augmentation(probability=1.0, ramp_epochs=4)
    shares = [len(changed(made, epoch)) / len(TEXTS) for epoch in range(6)]
    assert shares[0] == 0.0
    assert shares == sorted(shares)
    assert shares[4:] == [1.0, 1.0]


def test_a_row_that_would_be_read_in_other_windows_than_planned_stays_as_it_is() -> None:
    asked = AugmentationParams(probability=1.0)

    def halves(rows: ExampleRows) -> list[list[Window]]:
        longest = len(TEXTS[-1])
        return [
            [([ord(c) for c in part], 0) for part in (t[:longest], t[longest:]) if part]
            for t in rows.texts
        ]

    made = Augmentation(asked, ROWS, get_problem("text_classification"), halves, 0)
    assert 0 < len(changed(made, 0)) < N  # a typo may make a text longer than the longest one
    made.set_epoch(1)
    assert set(made.changed) <= set(range(N))


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


def refused(problem: str, augmentation: dict, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parse_params(
            {"problem": problem, "ingest": {"sources": [{"path": "a.csv"}]},
             "finetune": {"augmentation": augmentation}},
            source="params.yaml",
        )  # fmt: skip


def test_kinds_that_would_move_words_from_their_tags_are_refused(base, data, tmp_path) -> None:
    message = r"finetune\.augmentation\.word_loss, finetune\.augmentation\.word_swap: in ner"
    with pytest.raises(TrainingError, match=message):
        run(base, data, tmp_path, "ner", augmentation={})
    refused("ner", {}, message)


@pytest.mark.parametrize("problem", ["translation", "dialogue", "response_selection"])
def test_problems_whose_answers_were_given_to_the_texts_as_they_are_are_refused(problem) -> None:
    refused(problem, {}, rf"finetune\.augmentation: in {problem} the answer was given to the texts")


def test_a_dictionary_that_nothing_reads_is_refused() -> None:
    refused("text_classification", {"swap_words": "w.tsv"}, "nothing reads it while back_swaps")
