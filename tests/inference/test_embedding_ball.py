"""Moves of word vectors: exact on linear models, within their ball, the same in any company."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_predictors import predictor

from pipeline_steps.evaluation.attacks.ball import ball_metrics
from pipeline_steps.inference.embedding_ball import Ball, broken_within, smallest_breaking
from pipeline_steps.inference.predictor import Predictor

TEXTS = ["a good film", "bad", "the plot is not really good at all", "great great great"]
NORMS = ("l2", "linf")
radii = st.floats(0.01, 3.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Predictor:
    """A tiny model that is balanced, so that rows stand near the border of both labels."""
    made = predictor(tmp_path_factory.mktemp("ball") / "tiny")
    classifier: Any = made.model.get_submodule("classifier")
    with torch.no_grad():
        classifier.bias -= torch.from_numpy(made.logits(TEXTS).mean(axis=0))
    return made


def linear(seed: int, n: int = 5, length: int = 3, width: int = 4, labels: int = 2) -> Any:
    """Return a linear model over the vectors of rows, and where each row stands."""
    draw = torch.Generator().manual_seed(seed)
    weights = torch.randn(labels, length, width, generator=draw)
    start = torch.randn(n, length, width, generator=draw)
    return weights, start


@pytest.mark.parametrize("norm", NORMS)
@settings(max_examples=40)
@given(seed=st.integers(0, 999), radius=radii)
def test_two_labels_of_a_linear_model_break_exactly_where_the_dual_norm_says(
    norm: Any, seed: int, radius: float
) -> None:
    weights, start = linear(seed)
    free = torch.ones(start.shape[:2], dtype=torch.bool)

    def scores(moves: torch.Tensor) -> torch.Tensor:
        return torch.einsum("nlw,klw->nk", start + moves, weights)

    truth = scores(torch.zeros_like(start)).argmax(dim=1)
    found = broken_within(scores, tuple(start.shape), free, truth, Ball(norm, radius, 10))
    gaps = weights[1 - truth] - weights[truth]
    margin = (gaps * start).sum(dim=(1, 2))
    flat = gaps.flatten(1)
    gain = radius * (flat.norm(dim=1) if norm == "l2" else flat.abs().sum(dim=1))
    clear = (margin + gain).abs() > 1e-3
    assert found[clear].tolist() == (margin + gain > 0)[clear].tolist()


@pytest.mark.parametrize("norm", NORMS)
@settings(max_examples=25)
@given(seed=st.integers(0, 999), radius=radii, steps=st.integers(1, 6))
def test_every_point_that_is_asked_about_lies_in_the_ball_and_fixed_tokens_stay(
    norm: Any, seed: int, radius: float, steps: int
) -> None:
    weights, start = linear(seed, labels=3)
    free = torch.tensor([[True, False, True]]).expand(5, 3)
    asked: list[torch.Tensor] = []

    def scores(moves: torch.Tensor) -> torch.Tensor:
        asked.append(moves.detach())
        return torch.einsum("nlw,klw->nk", torch.tanh(start + moves), weights)

    truth = torch.zeros(5, dtype=torch.long)
    broken_within(scores, tuple(start.shape), free, truth, Ball(norm, radius, steps))
    assert len(asked) == steps + 1
    for moves in asked:
        flat = moves.flatten(1)
        size = flat.norm(dim=1) if norm == "l2" else flat.abs().amax(dim=1)
        assert float(size.max()) <= radius * (1 + 1e-5)
        assert not moves[:, 1].any()


def test_where_rows_stand_is_what_the_model_answers_and_it_answers_so_afterwards(
    model: Predictor,
) -> None:
    before = model.logits(TEXTS)
    said = [model.labels[place] for place in before.argmax(axis=1)]
    other = ["good" if label == "bad" else "bad" for label in said]
    tiny = [Ball("l2", 1e-9, 1)]
    assert smallest_breaking(model, TEXTS, None, other, tiny) == [0.0] * len(TEXTS)
    assert smallest_breaking(model, TEXTS, None, said, tiny) == [None] * len(TEXTS)
    assert smallest_breaking(model, TEXTS, None, ["neither"] * 4, tiny) == [0.0] * len(TEXTS)
    assert (model.logits(TEXTS) == before).all()


@pytest.mark.parametrize("norm", NORMS)
def test_greater_balls_break_what_smaller_ones_do_and_company_changes_nothing(
    norm: Any, model: Predictor
) -> None:
    said = [model.labels[place] for place in model.logits(TEXTS).argmax(axis=1)]
    balls = [Ball(norm, radius, 8) for radius in (0.001, 0.1, 30.0)]
    together = smallest_breaking(model, TEXTS, None, said, balls)
    for text, label, found in zip(TEXTS, said, together, strict=True):
        assert smallest_breaking(model, [text], None, [label], balls) == [found]
    shares = [m.value for m in ball_metrics(together, (0.001, 0.1, 30.0), norm, 0.95)]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] < 1.0


def test_no_rows_have_no_share() -> None:
    assert {m.value for m in ball_metrics([], (0.1,), "l2", 0.95)} == {None}


def test_every_token_but_special_ones_moves_and_the_model_still_reads_ids() -> None:
    """The moves are added behind the table, so token types read off the ids stay."""
    table = torch.nn.Embedding(4, 2)
    seen = []

    class Model(torch.nn.Module):
        def get_input_embeddings(self) -> torch.nn.Module:
            return table

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
            seen.append(input_ids)
            return SimpleNamespace(logits=table(input_ids)[:, 1])

    asked: Any = SimpleNamespace(
        model=Model(),
        tokenizer=SimpleNamespace(pad_token_id=0, all_special_ids=[0]),
        labels=("bad", "good"),
        batch_tokens=64,
        encode=lambda texts, pairs: SimpleNamespace(token_ids=[[1, 2] for _ in texts]),
    )
    torch.nn.init.constant_(table.weight, 0.5)
    with torch.no_grad():
        table.weight[2, 0] = 1.5
    found = smallest_breaking(asked, ["x"], None, ["bad"], [Ball("l2", r, 3) for r in (0.7, 0.8)])
    assert found == [0.8]  # half of one number down, half of the other up: 0.707
    assert all(ids.tolist() == [[1, 2]] for ids in seen)
