"""A model that carries an adapter or a prompt answers as a registered model as it does here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from builders import write_examples
from registry_builders import recorded_answers, register_checkpoint
from tiny_models import WORDS, configurations, save_tiny_model, save_tokenizer
from transformers import BertForMaskedLM

from pipeline_steps.digests import file_digest
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.registry.smoke_test import smoke_test
from pipeline_steps.types import DatasetRef


def save_language_model(path: Path) -> Path:
    torch.manual_seed(0)
    save_tokenizer(path)
    BertForMaskedLM(configurations()["bert"]).save_pretrained(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tuning", "save_base"),
    [
        ({"kind": "houlsby"}, save_tiny_model),
        ({"kind": "in_context", "label_words": {"a": "good", "b": "bad"}}, save_language_model),
    ],
)
def test_what_is_no_plain_model_answers_as_its_checkpoint(
    tracker, tmp_path, tuning: dict[str, Any], save_base: Callable[[Path], Path]
) -> None:
    from pipeline_steps.training.finetune import finetune

    rows = [{"text": " ".join(WORDS[i : i + 5]), "label": "ab"[i % 2]} for i in range(20)]
    path = write_examples(tmp_path / "train.parquet", rows)
    data = DatasetRef(
        name="train", split="train", path=path, digest=file_digest(path, "md5"), n_examples=20
    )
    params = FinetuneParams.model_validate(
        {"base_model": str(save_base(tmp_path / "base")), "epochs": 1, "precision": "fp32",
         "learning_rate": 0.05, "tuning": tuning, "max_length": 24}
    )  # fmt: skip
    checkpoint = finetune(data, data, params, tmp_path / "out", work=tmp_path / "work")
    version = register_checkpoint(tracker, checkpoint)
    answers = recorded_answers(checkpoint)
    result = smoke_test(version.model_uri, answers, tracker.tracking_uri)
    assert result.passed, result.reason
    other = [answers[0].model_copy(update={"score": answers[0].score - 0.01})]
    assert not smoke_test(version.model_uri, other, tracker.tracking_uri).passed
