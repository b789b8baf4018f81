"""Answers where the memory holds fewer rows than were asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_models import save_tiny_model

from pipeline_steps.inference.learners.catalog import get_learner
from pipeline_steps.inference.memory import in_smaller_batches
from pipeline_steps.inference.predictor import Predictor
from pipeline_steps.inference.tokenization import load_tokenizer

TEXTS = [f"my {word} is good" for word in ("card", "loan", "fee", "pin", "login", "film")]


def limited(predictor: Predictor, tokens: int) -> None:
    def ask(_, args, kwargs) -> None:
        if kwargs["input_ids"].numel() > tokens:
            torch.empty(2**60)  # the allocator refuses

    predictor.model.register_forward_pre_hook(ask, with_kwargs=True)


def test_a_predictor_goes_on_with_smaller_batches(tmp_path, caplog) -> None:
    model = get_learner("text_classification").build(save_tiny_model(tmp_path), ("a", "b"))[0]
    predictor = Predictor(
        model.eval(), load_tokenizer(tmp_path), ("a", "b"), max_length=16, batch_tokens=64,
        precision="fp32",
    )  # fmt: skip
    whole, requests = predictor.logits(TEXTS), [{"text": text} for text in TEXTS]
    answers = [answer["label"] for answer in predictor.answer(requests)]
    limited(predictor, 14)
    np.testing.assert_allclose(predictor.logits(TEXTS), whole, atol=1e-5)
    assert [answer["label"] for answer in predictor.answer(requests)] == answers
    assert "ran out with 64 tokens in a batch" in caplog.text


def test_what_never_fits_ends_and_other_errors_pass() -> None:
    tried: list[int] = []

    def starve(tokens: int) -> None:
        tried.append(tokens)
        raise MemoryError

    with pytest.raises(MemoryError):
        in_smaller_batches(starve, 64)
    assert tried == [64, 32, 16, 8]
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        in_smaller_batches(lambda _: torch.ones(2, 3) @ torch.ones(2, 3), 64)
