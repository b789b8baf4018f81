"""Two processes train what one would have trained, in steps of the same rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders import structured_examples, write_examples
from safetensors.torch import load_file
from tiny_models import WORDS, save_tiny_model

from flows.training_processes import finetune_together
from pipeline_steps.digests import file_digest
from pipeline_steps.errors import TrainingError
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.training.finetune import finetune
from pipeline_steps.types import DatasetRef


def dataset(path: Path, n: int, seed: int) -> DatasetRef:
    generator = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        words = generator.choice(WORDS[:9], int(generator.integers(3, 12))).tolist()
        rows.append({"text": " ".join([*words, ("good", "bad")[i % 2]]), "label": "ab"[i % 2]})
    return written(path, rows)


def replies(path: Path, n: int) -> DatasetRef:
    return written(path, structured_examples("response_selection", n))


def written(path: Path, rows: list[dict[str, Any]]) -> DatasetRef:
    write_examples(path, rows)
    return DatasetRef(
        name=path.stem, split=path.stem, path=path, digest=file_digest(path), n_examples=len(rows)
    )


@pytest.fixture
def data(tmp_path: Path) -> tuple[DatasetRef, DatasetRef]:
    return dataset(tmp_path / "train.parquet", 101, 0), dataset(tmp_path / "valid.parquet", 20, 1)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Return a tiny model without dropout: processes draw masks of their own."""
    path = save_tiny_model(tmp_path / "base")
    config = path / "config.json"
    config.write_text(config.read_text().replace('_dropout_prob": 0.1', '_dropout_prob": 0.0'))
    return path


def params(base: Path, **settings: Any) -> FinetuneParams:
    return FinetuneParams.model_validate(
        {"base_model": str(base), "epochs": 2, "batch_tokens": 96, "accumulation_steps": 2,
         "learning_rate": 1e-3, "precision": "fp32", **settings}
    )  # fmt: skip


def together(
    data: Any, settings: FinetuneParams, root: Path, problem: str = "text_classification"
) -> Any:
    root.mkdir(exist_ok=True)
    return finetune_together(2, *data, settings, root / "out", work=root / "work", problem=problem)


def test_two_processes_learn_what_one_learns(data, base: Path, tmp_path: Path) -> None:
    settings = params(base, averaging={"kind": "ema", "decay": 0.9})
    alone = finetune(*data, settings, tmp_path / "alone", work=tmp_path / "alone-work")
    both = together(data, settings, tmp_path / "both")
    assert both.training["steps"] == alone.training["steps"]
    for mine, theirs in zip(alone.training["history"], both.training["history"], strict=True):
        assert theirs == pytest.approx(mine, abs=1e-5)
    weights = load_file(tmp_path / "alone/model.safetensors")
    for name, tensor in load_file(tmp_path / "both/out/model.safetensors").items():
        torch.testing.assert_close(tensor, weights[name], atol=1e-5, rtol=1e-4)


@pytest.mark.slow
def test_two_processes_teach_a_bi_encoder_as_one_does(base: Path, tmp_path: Path) -> None:
    problem = "response_selection"
    data = [replies(tmp_path / f"{name}.parquet", n) for name, n in (("train", 60), ("valid", 9))]
    settings = params(base, early_stopping_metric="recall_at_1")
    alone = finetune(*data, settings, tmp_path / "out", work=tmp_path / "work", problem=problem)
    both = together(data, settings, tmp_path / "both", problem)
    assert both.training["steps"] == alone.training["steps"] > 2
    for mine, theirs in zip(alone.training["history"], both.training["history"], strict=True):
        assert theirs == pytest.approx(mine, abs=1e-4)


@pytest.mark.slow
def test_two_processes_ask_beside_the_loss_what_one_asks(data, base: Path, tmp_path: Path) -> None:
    """Of texts and of weights, moved and recorded, after reading; for two seeds."""
    old = finetune(*data, params(base), tmp_path / "old", work=tmp_path / "old-work").path
    examples = str(data[1].path)
    objective = {
        "fgm": {},
        "pgd": {"steps": 2},
        "distillation": {"teachers": [str(old)]},
        "hidden": {"teacher": str(old)},
        "l2sp": {"alpha": 1.0},
        "ewc": {"checkpoint": str(old), "examples": examples, "n_rows": 5, "weight": 10.0},
        "replay": {"examples": examples, "share": 0.2},
    }
    reading = {"epochs": 1, "learning_rate": 1e-3}
    settings = params(base, epochs=1, objective=objective, pretraining=reading, n_runs=2)
    alone = finetune(*data, settings, tmp_path / "alone", work=tmp_path / "alone-work")
    both = together(data, settings, tmp_path / "both")
    runs = (alone.training["runs"], both.training["runs"])
    assert len(runs[0]["scores"]) == 2
    assert runs[0].pop("chosen") == runs[1].pop("chosen")
    mine, theirs = alone.training["history"][-1], both.training["history"][-1]
    assert {f"train_{name}" for name in ("FGM", "PGD", "L2SP", "EWC")} <= set(mine)
    assert theirs == pytest.approx(mine, abs=1e-4, rel=1e-3)
    weights = load_file(tmp_path / "alone/model.safetensors")
    for name, tensor in load_file(tmp_path / "both/out/model.safetensors").items():
        torch.testing.assert_close(tensor, weights[name], atol=3e-5, rtol=1e-3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"accumulation_steps": 3}, "accumulation_steps is 3, and 2 processes"),
        ({"tuning": {"kind": "adalora"}}, r"adalora \(its vectors .*\) with 2 processes"),
    ],
)
@pytest.mark.slow
def test_what_several_processes_cannot_share_is_refused(
    data, base: Path, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        together(data, params(base, **settings), tmp_path / "both")
