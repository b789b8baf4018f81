"""The precision that answers: the fastest of those that change nothing, else fp32."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from tiny_predictors import predictor

from pipeline_steps.inference.fastest_precision import fastest_equal, in_precision
from pipeline_steps.inference.predictor import Predictor

REQUESTS = [{"text": f"the film was {n} times as good as {n // 7}"} for n in range(120)]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return predictor(tmp_path_factory.mktemp("tiny"))


def with_bias(loaded: Predictor, *values: float) -> Predictor:
    """Return the predictor with a head that only its bias decides."""
    made = copy.copy(loaded)
    made.model = copy.deepcopy(loaded.model)  # `loaded` is the other tests' too
    with torch.no_grad():
        made.model.classifier.weight.zero_()
        made.model.classifier.bias.copy_(torch.tensor(values))
    return made


def test_weights_that_are_cast_once_answer_as_those_that_are_cast_each_time(
    loaded: Predictor,
) -> None:
    texts = [request["text"] for request in REQUESTS]
    once = in_precision(loaded, "bf16")
    each_time = Predictor(
        loaded.model, loaded.tokenizer, loaded.labels,
        max_length=32, batch_tokens=512, precision="bf16",
    )  # fmt: skip
    assert np.array_equal(once.logits(texts), each_time.logits(texts))
    assert not np.array_equal(once.logits(texts), loaded.logits(texts))
    assert {p.dtype for p in loaded.model.parameters()} == {torch.float32}


def test_a_weight_that_two_layers_share_is_cast_in_one_only() -> None:
    model = torch.nn.Sequential(torch.nn.Embedding(5, 4), torch.nn.Linear(4, 5, bias=False))
    model[1].weight = model[0].weight
    made = Predictor(
        model, None, ("a", "b"), max_length=4, batch_tokens=4, precision="fp32"
    )  # fmt: skip
    cast = in_precision(made, "bf16").model
    assert (cast[0].weight.dtype, cast[1].weight.dtype) == (torch.float32, torch.bfloat16)


def test_int8_answers_close_to_fp32(loaded: Predictor) -> None:
    texts = [request["text"] for request in REQUESTS]
    exact, rounded = (p.logits(texts) for p in (loaded, in_precision(loaded, "int8")))
    assert not np.array_equal(exact, rounded)
    assert np.abs(exact - rounded).max() < 0.1 * np.abs(exact).max() + 0.05


def test_a_precision_that_changes_an_answer_is_not_taken(loaded: Predictor) -> None:
    # 1 and 1 + 2**-12 are one number in bf16: every answer becomes the first label.
    chosen, choice = fastest_equal(with_bias(loaded, 1.0, 1.0 + 2**-12), REQUESTS)
    assert choice.changed is not None
    assert choice.changed["bf16"] == len(REQUESTS) == choice.n_rows
    assert choice.precision == chosen.precision != "bf16"


def test_what_is_taken_changes_nothing_and_is_worth_it(
    loaded: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    sure = with_bias(loaded, 0.0, 3.0)
    measured = {"bf16": 1.5, "int8": 1.05}
    monkeypatch.setattr("pipeline_steps.inference.fastest_precision._speedups", lambda *_: measured)
    chosen, choice = fastest_equal(sure, REQUESTS)
    assert (chosen.precision, choice.precision) == ("bf16", "bf16")
    assert choice.changed == {"bf16": 0, "int8": 0}
    measured["bf16"] = 1.09
    assert fastest_equal(sure, REQUESTS)[0] is sure


def test_too_few_rows_prove_nothing(loaded: Predictor) -> None:
    chosen, choice = fastest_equal(loaded, REQUESTS[:99])
    assert chosen is loaded
    assert choice.as_dict() == {
        "precision": "fp32",
        "reason": "99 rows are held back, and 100 are needed to compare answers",
        "n_rows": 99,
    }


def test_prepared_rows_are_answered_as_others(loaded: Predictor) -> None:
    prepared = loaded.prepare(REQUESTS)
    assert loaded.answer_prepared(prepared) == loaded.answer(REQUESTS)
    assert [row.tokens for row in prepared] == [len(row.token_ids or []) for row in prepared]
