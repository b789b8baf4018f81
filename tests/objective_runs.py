"""Short trainings of tiny models for the tests of losses and objectives, problem by problem."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from builders import structured_examples, write_examples
from safetensors.torch import load_file

from pipeline_steps.digests import file_digest
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.problem_defaults import HEADLINES
from pipeline_steps.training.finetune import finetune
from pipeline_steps.types import Checkpoint, DatasetRef

PROBLEMS = ("text_classification", "ner", "relation_extraction", "question_answering")


def dataset(root: Path, problem: str, name: str, n: int) -> DatasetRef:
    path = write_examples(root / f"{name}.parquet", structured_examples(problem, n))
    return DatasetRef(
        name=name, split=name, path=path, digest=file_digest(path, "md5"), n_examples=n
    )


def params(base: Path, problem: str = "text_classification", **settings: Any) -> FinetuneParams:
    return FinetuneParams.model_validate(
        {"base_model": str(base), "epochs": 1, "learning_rate": 1e-3, "batch_tokens": 96,
         "precision": "fp32", "early_stopping_metric": HEADLINES[problem][0], **settings}
    )  # fmt: skip


def run(
    base: Path, data: Any, root: Path, problem: str = "text_classification", **settings: Any
) -> Checkpoint:
    asked = params(base, problem, **settings)
    return finetune(*data[problem], asked, root / "out", work=root / "work", problem=problem)


def weights(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    return load_file(checkpoint.path / "model.safetensors")
