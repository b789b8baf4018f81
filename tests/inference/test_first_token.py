"""The last layer for the first token alone: the same answers, and nobody else gets less."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from pipeline_steps.inference.embedding_digests import EmbeddingDigests
from pipeline_steps.inference.first_token import (
    first_token_only,
    trim_last_layer,
    untrim_last_layer,
)
from pipeline_steps.inference.forward import logits_in_order, pad
from pipeline_steps.inference.precision import choose_precision
from pipeline_steps.inference.unmerged.mean_pooling import MeanPoolingSpec, attach_mean_pooling
from pipeline_steps.training.objectives.step import Step
from pipeline_steps.training.tuning.prompts import PromptTuning

LIKE_BERT = ("bert", "roberta", "electra", "deberta", "deberta-v2", "camembert")
OTHERS = ("distilbert", "albert", "modernbert", "gpt2", "mpnet")
ROWS = [[2, 7, 8, 9, 3], [2, 5, 3], [2, 11, 6, 3], [2, 13, 17, 19, 21, 23, 3]]
LAYERS, LABELS = 3, 4


def made(kind: str, auto: Any = AutoModelForSequenceClassification) -> Any:
    sizes = {
        "vocab_size": 60,
        "hidden_size": 32,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "max_position_embeddings": 64,
    }
    config = AutoConfig.for_model(kind, **sizes, num_labels=LABELS)
    config.pad_token_id = config.eos_token_id = config.bos_token_id = 1
    config.sep_token_id = config.cls_token_id = None
    torch.manual_seed(0)
    model = auto.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


@pytest.fixture
def bert() -> Any:
    return made("bert")


@pytest.fixture
def seen(bert: Any) -> Iterator[list[int]]:
    """Return how many tokens of each row go through the last layer, call by call."""
    found: list[int] = []
    last = bert.bert.encoder.layer[-1].intermediate
    handle = last.register_forward_pre_hook(lambda _, states: found.append(states[0].shape[1]))
    yield found
    handle.remove()


def logits(model: Any, rows: list[list[int]] = ROWS) -> torch.Tensor:
    with torch.inference_mode():
        return model(**pad(rows, pad_id=1)).logits


@pytest.mark.parametrize("kind", LIKE_BERT)
def test_logits_stay_as_they_are(kind: str) -> None:
    model = made(kind)
    expected = logits(model)
    assert trim_last_layer(model)
    with first_token_only():
        found = logits(model)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert not torch.equal(found[0], found[1])


@pytest.mark.parametrize("kind", OTHERS)
def test_a_model_of_another_build_is_left_alone(kind: str) -> None:
    model = made(kind)
    expected = logits(model)
    assert not trim_last_layer(model)
    with first_token_only():
        assert torch.equal(logits(model), expected)


def test_only_who_asks_gets_one_token(bert: Any, seen: list[int]) -> None:
    trim_last_layer(bert)
    seen.clear()
    logits(bert)
    with first_token_only():
        logits(bert)
    logits(bert)
    assert seen == [7, 1, 7]


def test_inference_asks(bert: Any, seen: list[int]) -> None:
    expected = logits_in_order(bert, ROWS, 1, 64)
    trim_last_layer(bert)
    seen.clear()
    found = logits_in_order(bert, ROWS, 1, 64)
    assert set(seen) == {1}
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(
    choose_precision("auto", torch.device("cpu")) != "bf16", reason="no bf16 on this CPU"
)
def test_in_bf16_no_logit_moves_whatever_the_batch() -> None:
    torch.manual_seed(0)
    config = AutoConfig.for_model("bert", hidden_size=384, intermediate_size=1536, vocab_size=60)
    config.num_hidden_layers, config.num_attention_heads, config.num_labels = 2, 12, LABELS
    model = AutoModelForSequenceClassification.from_config(config).eval()
    with torch.no_grad():  # weights at which a rounding reaches the logits
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    model.bfloat16().float()  # the same numbers in both
    rows = [[2, *torch.randint(5, 60, (9,)).tolist(), 3] for _ in range(200)]
    batches = [rows, rows[:3], rows[:1]]
    assert trim_last_layer(model)
    model.bfloat16()
    expected = [logits(model, batch) for batch in batches]
    with first_token_only():
        found = [logits(model, batch) for batch in batches]
    assert all(map(torch.equal, found, expected))


def test_a_head_that_reads_all_tokens_keeps_them() -> None:
    model = made("bert", AutoModelForTokenClassification)
    assert not trim_last_layer(model)
    with first_token_only():
        assert logits(model).shape == (len(ROWS), 7, LABELS)


def test_a_head_that_answers_all_texts_alike_says_nothing_about_what_it_reads(bert: Any) -> None:
    torch.nn.init.zeros_(bert.classifier.weight)
    assert not trim_last_layer(bert)


def test_mean_states_are_those_of_all_tokens_after_a_trimming(bert: Any) -> None:
    plain = copy.deepcopy(bert)
    trim_last_layer(bert)
    for model in (bert, plain):
        attach_mean_pooling(model, MeanPoolingSpec("classifier"))
    with first_token_only():
        assert torch.equal(logits(bert), logits(plain))
    assert not trim_last_layer(bert)


@pytest.mark.parametrize("n_tokens", [1, 3])
def test_a_learnt_prompt_answers_as_before(bert: Any, n_tokens: int) -> None:
    PromptTuning(n_tokens=n_tokens, seed=0).apply(bert, ("classifier.weight", "classifier.bias"))
    bert.eval()
    expected = logits(bert)
    trim_last_layer(bert)
    with first_token_only():
        torch.testing.assert_close(logits(bert), expected, rtol=1e-5, atol=1e-6)


def test_a_copy_can_be_given_its_tokens_back(bert: Any) -> None:
    trim_last_layer(bert)
    other = copy.deepcopy(bert)
    untrim_last_layer(other)
    found: list[int] = []
    other.bert.encoder.layer[-1].intermediate.register_forward_pre_hook(
        lambda _, states: found.append(states[0].shape[1])
    )
    with first_token_only():
        logits(other)
    assert found == [7]


def test_trimming_twice_is_trimming_once(bert: Any, seen: list[int]) -> None:
    assert trim_last_layer(bert)
    untrim_last_layer(bert)
    assert trim_last_layer(bert)
    assert trim_last_layer(bert)
    seen.clear()
    with first_token_only():
        logits(bert)
    assert seen == [1]


def test_digests_are_of_all_tokens(bert: Any) -> None:
    plain = copy.deepcopy(bert)
    trim_last_layer(bert)
    found = []
    for model in (bert, plain):
        digests = EmbeddingDigests(model)
        logits_in_order(model, ROWS, 1, 64)
        found.append(digests.take(ROWS))
    assert found[0] == found[1]
    assert None not in found[0]


class Summed:
    """A problem whose loss is that of a classifier."""

    def loss(self, outputs: Any, labels: torch.Tensor, n_items: int) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(outputs.logits, labels, reduction="sum") / n_items


def test_gradients_stay_as_they_are(bert: Any) -> None:
    plain = copy.deepcopy(bert)
    trim_last_layer(bert)
    for model in (bert, plain):
        step_of(model).loss.backward()
    for ours, theirs in zip(bert.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-6)


def step_of(model: Any, **asked: bool) -> Step:
    problem: Any = Summed()
    return Step(model, pad(ROWS, pad_id=1), torch.tensor([0, 1, 2, 3]), problem, 4, **asked)


def test_training_asks_unless_an_objective_reads_hidden_states(bert: Any, seen: list[int]) -> None:
    trim_last_layer(bert)
    seen.clear()
    step_of(bert).outputs  # noqa: B018 - run when asked for
    states = step_of(bert, keeps_hidden_states=True).outputs.hidden_states
    assert seen == [1, 7]
    assert [state.shape[1] for state in states] == [7] * (LAYERS + 1)


def test_a_model_keeps_the_mode_it_was_in(bert: Any) -> None:
    trim_last_layer(bert.train())
    assert bert.training
