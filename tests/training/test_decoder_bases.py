"""Decoders that classify: the last token of a text is found, whatever fills the batch behind it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from objective_runs import run
from tiny_writers import DECODERS, save_tiny_writer

from pipeline_steps.inference.predictor import Predictor

TEXTS = ["the film was good", "bad", "my card and my very good login"]


def base_without_padding(path: Path, architecture: str) -> Path:
    """Return a decoder whose files name no padding token, as GPT-2's and Llama's own do."""
    base = save_tiny_writer(path, architecture)
    for name, key in (("config.json", "pad_token_id"), ("tokenizer_config.json", "pad_token")):
        content = json.loads((base / name).read_text(encoding="utf-8"))
        del content[key]
        (base / name).write_text(json.dumps(content), encoding="utf-8")
    return base


@pytest.mark.parametrize("architecture", DECODERS)
def test_a_base_that_names_no_padding_learns_and_is_read_by_text(
    architecture, data, tmp_path
) -> None:
    base = base_without_padding(tmp_path / "base", architecture)
    checkpoint = run(base, data, tmp_path)
    saved = json.loads((checkpoint.path / "config.json").read_text(encoding="utf-8"))
    predictor = Predictor.from_checkpoint(checkpoint.path)
    assert saved["pad_token_id"] == predictor.tokenizer.pad_token_id
    alone = np.concatenate([predictor.logits([text]) for text in TEXTS])
    np.testing.assert_allclose(predictor.logits(TEXTS), alone, atol=1e-5)
