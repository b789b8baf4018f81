"""Choosing a reply: pairs, their order, and what a long conversation keeps."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from builders import structured_examples
from tiny_models import save_tiny_model

from pipeline_steps.inference.examples_file import rows_of
from pipeline_steps.inference.forward import pad
from pipeline_steps.inference.learners.catalog import get_learner
from pipeline_steps.inference.tokenization import load_tokenizer
from pipeline_steps.problems.conversation import Message
from pipeline_steps.problems.problem import Content
from pipeline_steps.problems.response_selection import target_of

LEARNER = get_learner("response_selection")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("base"))


def some_rows(n: int = 6):
    return rows_of(
        [
            Content(row["text"], target=row["target"])
            for row in structured_examples("response_selection", n)
        ]
    )


def test_scores_do_not_depend_on_the_batch_and_losses_add_up(base) -> None:
    rows = some_rows()
    encoded = LEARNER.encode(load_tokenizer(base), rows, 32, 8)
    torch.manual_seed(0)
    model = LEARNER.build(base, ())[0].eval()
    alone, together = (LEARNER.run(model, encoded, 0, tokens, 0) for tokens in (1, 10_000))
    np.testing.assert_allclose(alone, together, atol=1e-5)
    targets = LEARNER.targets(encoded, rows, ())
    assert (len(targets), sum(targets)) == (18, 6)
    with torch.no_grad():
        outputs = model(**pad(encoded.token_ids, 0))
    labels = LEARNER.as_tensor(targets)
    whole = float(LEARNER.loss(outputs, labels, 18))
    parts = [
        LEARNER.loss(SimpleNamespace(logits=outputs.logits[part]), labels[part], 18)
        for part in (slice(0, 5), slice(5, 18))
    ]
    assert float(sum(parts)) == pytest.approx(whole, rel=1e-5)
    scores = LEARNER.validation_scores(together, encoded, targets, rows, ())
    assert scores["loss"] == pytest.approx(whole, rel=1e-4)


def test_divergence_is_0_from_itself_and_that_of_two_coins_from_others() -> None:
    ours, theirs = (SimpleNamespace(logits=torch.tensor([[v]])) for v in (0.0, 2.0))
    labels = torch.zeros(1)
    assert float(LEARNER.divergence(ours, ours, labels, 1)) == pytest.approx(0.0, abs=1e-6)
    p = 1 / (1 + np.exp(-2.0))
    expected = p * np.log(2 * p) + (1 - p) * np.log(2 * (1 - p))
    assert float(LEARNER.divergence(ours, theirs, labels, 1)) == pytest.approx(expected, rel=1e-5)


def test_the_best_candidate_is_answered_and_all_are_ordered(base) -> None:
    rows = some_rows(2)
    encoded = LEARNER.encode(load_tokenizer(base), rows, 32, 8)
    scores = np.array([0.0, 3.0, 1.0, 5.0, 2.0, 5.0])
    table = LEARNER.table(scores, encoded, rows, ())
    assert [json.loads(order) for order in table.predicted] == [[1, 2, 0], [0, 2, 1]]
    assert [json.loads(place) for place in table.truth] == [0, 1]
    answers = LEARNER.answers(scores, encoded, rows, ())
    assert [answer["place"] for answer in answers] == [1, 0]
    assert answers[0]["reply"] == json.loads(rows.targets[0])["candidates"][1]
    shares = np.exp([0.0, 3.0, 1.0])
    assert answers[0]["score"] == pytest.approx(shares.max() / shares.sum())


def test_of_a_long_conversation_the_end_is_read(base) -> None:
    tokenizer = load_tokenizer(base)
    text = " ".join(["the", *["bad"] * 30, "my", "card"])
    target = target_of([Message("user", text)], ["good", "the film is very good and a loan"], 0)
    encoded = LEARNER.encode(tokenizer, rows_of([Content(text, target=target)]), 12, 8)
    words = [" ".join(tokenizer.convert_ids_to_tokens(ids)) for ids in encoded.token_ids]
    assert words[0].endswith("bad my card [SEP] good [SEP]")
    assert words[1] == "[CLS] bad my card [SEP] the film is very good and [SEP]"
    assert encoded.n_truncated == 2
    assert tokenizer.truncation_side == "right"
