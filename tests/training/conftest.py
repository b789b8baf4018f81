"""A tiny base model and tiny datasets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from builders import write_examples
from objective_runs import PROBLEMS, dataset
from tiny_models import WORDS, save_tiny_model

from pipeline_steps.digests import file_digest
from pipeline_steps.types import DatasetRef


def make_dataset(path: Path, n: int, seed: int, name: str) -> DatasetRef:
    """Return rows of 1 to 20 words whose label is whether "good" or "bad" is among them."""
    generator = np.random.default_rng(seed)
    neutral = [word for word in WORDS if word not in ("good", "bad")]
    content = []
    for index in range(n):
        words = generator.choice(neutral, generator.integers(1, 20)).tolist()
        words.insert(int(generator.integers(len(words) + 1)), ("good", "bad")[index % 2])
        content.append({"text": " ".join(words), "label": ("plus", "minus")[index % 2]})
    write_examples(path, content)
    return DatasetRef(
        name=name, split=name, path=path, digest=file_digest(path, "md5"), n_examples=n
    )


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def datasets(tmp_path_factory) -> tuple[DatasetRef, DatasetRef]:
    root = tmp_path_factory.mktemp("data")
    return (
        make_dataset(root / "train.parquet", 120, 0, "train"),
        make_dataset(root / "valid.parquet", 40, 1, "valid"),
    )


@pytest.fixture(scope="session")
def data(tmp_path_factory, datasets) -> dict[str, tuple[DatasetRef, DatasetRef]]:
    """Return train and valid rows of each problem."""
    found = {"text_classification": datasets}
    for problem in PROBLEMS[1:]:
        root = tmp_path_factory.mktemp(problem)
        found[problem] = (dataset(root, problem, "train", 24), dataset(root, problem, "valid", 8))
    return found
