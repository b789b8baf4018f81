"""A tiny classifier with random weights, loaded to answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tiny_models import configurations, save_tiny_model
from transformers import AutoModelForSequenceClassification

from pipeline_steps.inference.predictor import Predictor
from pipeline_steps.inference.tokenization import load_tokenizer


def predictor(path: Path, problem: str = "text_classification") -> Predictor:
    save_tiny_model(path)
    config = configurations()["bert"]
    torch.manual_seed(1)
    model = AutoModelForSequenceClassification.from_config(config).eval()
    shape: dict[str, Any] = {"max_length": 32, "batch_tokens": 512, "precision": "fp32"}
    tokenizer = load_tokenizer(path)
    return Predictor(model, tokenizer, ("bad", "good"), problem=problem, **shape)
