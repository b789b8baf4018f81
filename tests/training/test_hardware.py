"""What is traded for memory and speed changes no result, or is refused before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from builders import write_examples
from safetensors.torch import load_file
from tiny_models import WORDS, save_tiny_model

from pipeline_steps.digests import file_digest
from pipeline_steps.errors import TrainingError
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.training.finetune import finetune
from pipeline_steps.types import DatasetRef


def rows(path: Path) -> DatasetRef:
    content = [{"text": " ".join(WORDS[i % 9 : i % 9 + 3 + i % 5]), "label": "ab"[i % 2]}
               for i in range(32)]  # fmt: skip
    write_examples(path, content)
    return DatasetRef(
        name="train", split="train", path=path, digest=file_digest(path), n_examples=32
    )


def weights(
    root: Path, name: str, architecture: str = "bert", *, dropout: bool = True, **settings: Any
) -> Any:
    """Return the weights after an epoch."""
    base = save_tiny_model(root / "base", architecture)
    if not dropout:
        config = base / "config.json"
        config.write_text(config.read_text().replace('_dropout_prob": 0.1', '_dropout_prob": 0.0'))
    data = rows(root / "rows.parquet")
    params = FinetuneParams.model_validate(
        {"base_model": str(base), "epochs": 1, "batch_tokens": 64, "precision": "fp32", **settings}
    )
    finetune(data, data, params, root / name, work=root / f"{name}-work")
    return load_file(root / name / "model.safetensors")


@pytest.mark.parametrize("tuning", [{"kind": "full"}, {"kind": "lora", "rank": 4}])
@pytest.mark.parametrize("architecture", ["bert", "modernbert"])
def test_activations_that_are_computed_anew_give_the_same_weights(
    tmp_path: Path, architecture: str, tuning: dict[str, Any]
) -> None:
    if architecture == "modernbert" and tuning["kind"] == "lora":
        tuning = {**tuning, "target_modules": ["Wqkv"]}
    kept = weights(tmp_path, "kept", architecture, tuning=tuning)
    anew = weights(
        tmp_path, "anew", architecture, tuning=tuning, hardware={"gradient_checkpointing": True}
    )
    assert kept.keys() == anew.keys()
    for name, tensor in kept.items():
        torch.testing.assert_close(anew[name], tensor, atol=1e-6, rtol=1e-5)


def test_attention_can_be_chosen_and_computes_the_same(tmp_path: Path) -> None:
    sdpa = weights(tmp_path, "sdpa", dropout=False, hardware={"attention": "sdpa"})
    eager = weights(tmp_path, "eager", dropout=False, hardware={"attention": "eager"})
    for name, tensor in sdpa.items():
        torch.testing.assert_close(eager[name], tensor, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("settings", "architecture", "message"),
    [
        ({"precision": "fp16"}, "bert", "fp16, and the device cpu"),
        ({"hardware": {"attention": "flash_attention_2"}}, "bert", "flash_attention_2, and the"),
        ({"hardware": {"attention": "sdpa"}}, "deberta-v2", "cannot (attend by|be set to)"),
    ],
)
@pytest.mark.skipif(torch.cuda.is_available(), reason="what a CPU cannot do, a GPU can")
def test_what_this_machine_or_model_cannot_do_is_refused(
    tmp_path: Path, settings: dict[str, Any], architecture: str, message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        weights(tmp_path, "out", architecture, **settings)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the compiler's own
def test_a_compiled_model_learns_the_same(tmp_path: Path) -> None:
    plain = weights(tmp_path, "plain", dropout=False)
    compiled = weights(tmp_path, "compiled", dropout=False, hardware={"compile": True})
    assert plain.keys() == compiled.keys()
    for name, tensor in plain.items():
        torch.testing.assert_close(compiled[name], tensor, atol=1e-5, rtol=1e-4)
