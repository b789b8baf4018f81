"""The bi-encoder: its loss against the field's formula, its vectors, what it refuses."""

from __future__ import annotations

import copy
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from builders import structured_examples, write_examples
from tiny_models import TARGETS, save_tiny_model

from pipeline_steps.digests import file_digest
from pipeline_steps.errors import ConfigurationError
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.inference.examples_file import rows_of
from pipeline_steps.inference.forward import pad
from pipeline_steps.inference.learners.bi_encoder import SCALE
from pipeline_steps.inference.learners.catalog import get_learner
from pipeline_steps.inference.predict import predict
from pipeline_steps.inference.predictor import Predictor
from pipeline_steps.inference.tokenization import load_tokenizer
from pipeline_steps.judging_params import PredictParams
from pipeline_steps.params import parse_params
from pipeline_steps.predictions_file import read_predictions
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.problems.conversation import Message
from pipeline_steps.problems.problem import Content
from pipeline_steps.problems.response_selection import target_of
from pipeline_steps.training.finetune import finetune
from pipeline_steps.training.objectives.consistency import RDrop
from pipeline_steps.training.objectives.step import Step
from pipeline_steps.types import DatasetRef

LEARNER = get_learner("response_selection", selector="bi")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("base"))


def some_rows(n: int = 5):
    found = structured_examples("response_selection", n)
    return rows_of([Content(row["text"], target=row["target"]) for row in found])


def encoded_rows(base, n: int = 5):
    rows = some_rows(n)
    encoded = LEARNER.encode(load_tokenizer(base), rows, 32, 8)
    return rows, encoded, LEARNER.targets(encoded, rows, ())


def test_scores_are_cosines_of_mean_states_whatever_the_batch(base) -> None:
    rows, encoded, targets = encoded_rows(base)
    model = LEARNER.build(base, ())[0].eval()
    alone, together = (LEARNER.run(model, encoded, 0, tokens, 0) for tokens in (1, 10_000))
    np.testing.assert_allclose(alone, together, atol=1e-4)
    labels = LEARNER.as_tensor(targets)
    with torch.no_grad():
        batch = {**pad(encoded.token_ids, 0), **LEARNER.more_inputs(labels, 0)}
        scores = model(**batch).logits.numpy()
    assert scores.shape == (5, 15)
    assert np.abs(scores).max() <= SCALE + 1e-4
    own = encoded.by_row(together)
    for row in range(5):
        place = json.loads(rows.targets[row])["right"]
        assert scores[row, 3 * row] == pytest.approx(own[row][place], abs=1e-4)


@pytest.mark.parametrize("architecture", sorted(TARGETS))
def test_every_weight_has_a_part_in_the_scores_also_when_it_is_loaded_again(
    tmp_path, architecture: str
) -> None:
    """Several processes wait for the gradients of all weights."""
    path = save_tiny_model(tmp_path / "base", architecture)
    built = LEARNER.build(path, ())[0]
    built.save_pretrained(tmp_path / "saved")
    rows, encoded, targets = encoded_rows(path)
    labels = LEARNER.as_tensor(targets)
    for model in (built, LEARNER.load(tmp_path / "saved")):
        batch = {**pad(encoded.token_ids, 0), **LEARNER.more_inputs(labels, 0)}
        LEARNER.loss(model(**batch), labels, len(rows)).backward()
        assert [n for n, p in model.named_parameters() if p.grad is None] == []


def test_the_loss_is_the_cross_entropy_among_all_replies_of_the_batch() -> None:
    labels = LEARNER.as_tensor([[[1, 2], [3]], [[4], [5]], [[1, 2], [6]]])
    logits = torch.randn(3, 6)
    expected = 0.0
    for row, others in enumerate(([0, 1, 2, 3, 5], [0, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5])):
        right = others.index(2 * row)  # row 2 has the right reply of row 0, which is left out
        expected -= float(torch.log_softmax(logits[row, others], dim=0)[right])
    outputs = SimpleNamespace(logits=logits)
    assert float(LEARNER.loss(outputs, labels, 3)) == pytest.approx(expected / 3, rel=1e-5)
    assert LEARNER.n_items(labels) == 3


def test_rows_may_have_different_numbers_of_candidates(base) -> None:
    labels = LEARNER.as_tensor([[[1, 2], [3], [7]], [[4], [5]]])
    more = LEARNER.more_inputs(labels, 0)
    assert more["reply_ids"].shape == more["reply_mask"].shape == (2, 3, 2)
    assert more["reply_mask"][1, 2].tolist() == [1, 0]  # never nothing to attend to
    outputs = SimpleNamespace(logits=torch.zeros(2, 6))
    assert float(LEARNER.loss(outputs, labels, 2)) == pytest.approx(np.log(5))


def test_a_copy_of_the_model_runs_its_own_weights(base) -> None:
    model = LEARNER.build(base, ())[0].eval()
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.normal_()
        asked = pad([[2, 10, 11, 3]], 0)
        assert not torch.allclose(model(**asked).logits, other(**asked).logits)


def test_of_a_long_conversation_the_end_is_read_and_of_a_reply_the_beginning(base) -> None:
    tokenizer = load_tokenizer(base)
    text = " ".join(["the", *["bad"] * 30, "my", "card"])
    target = target_of([Message("user", text)], ["good", " ".join(["film", *["is"] * 30])], 0)
    encoded = LEARNER.encode(tokenizer, rows_of([Content(text, target=target)]), 8, 8)
    read = tokenizer.convert_ids_to_tokens(encoded.token_ids[0])
    assert read[-3:] == ["my", "card", "[SEP]"]
    assert tokenizer.convert_ids_to_tokens(encoded.replies[0][1])[1] == "film"
    assert encoded.n_truncated == 1
    assert LEARNER.encode(tokenizer, rows_of([]), 8, 8).by_row(np.zeros(0)) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"objective": {"distillation": {"teachers": ["a"]}}}, "distillation: .*selector bi"),
        ({"tuning": {"kind": "head"}}, "head does not go with finetune.selector bi"),
    ],
)
def test_what_does_not_fit_a_bi_encoder_is_refused(settings, message) -> None:
    values = {
        "problem": "response_selection",
        "ingest": {"sources": [{"path": "a.csv"}]},
        "finetune": settings,
    }
    with pytest.raises(ConfigurationError, match=message):
        parse_params(values, source="params.yaml")
    parse_params(
        {**values, "finetune": {"selector": "cross", "tuning": {"kind": "lora"}}},
        source="params.yaml",
    )


@pytest.mark.parametrize("kind", ["full", "lora", "houlsby", "bitfit"])
def test_what_is_learnt_is_predicted_and_served(base, tmp_path, kind: str) -> None:
    def dataset(name: str, n: int) -> DatasetRef:
        path = tmp_path / f"{name}.parquet"
        write_examples(path, structured_examples("response_selection", n))
        digest = file_digest(path, "md5")
        return DatasetRef(name=name, split=name, path=path, digest=digest, n_examples=n)

    params = FinetuneParams(
        base_model=str(base), precision="fp32", max_length=32, learning_rate=3e-3, epochs=4,
        early_stopping_metric="recall_at_1", tuning={"kind": kind}, batch_tokens=256,
    )  # fmt: skip
    data = dataset("train", 60), dataset("valid", 20)
    checkpoint = finetune(
        *data, params, tmp_path / "c", work=tmp_path / "work", problem="response_selection"
    )
    if kind == "full":
        history = checkpoint.training["history"]
        assert history[-1]["loss"] < history[0]["loss"]
    made = predict(checkpoint, dataset("test", 8), tmp_path / "p.parquet", PredictParams())
    table = read_predictions(made)
    asked = get_problem("response_selection")
    requests = [asked.request(row) for row in structured_examples("response_selection", 8)]
    served = Predictor.from_checkpoint(checkpoint.path).answer(requests)
    for answer, predicted, score in zip(served, table.predicted, table.score, strict=True):
        assert answer["place"] == json.loads(predicted)[0]
        assert answer["score"] == pytest.approx(score, abs=1e-4)


def test_replies_that_are_not_there_count_for_nothing_in_the_divergence(base) -> None:
    _, _, targets = encoded_rows(base, 3)
    fewer = [targets[0], targets[1][:2], targets[2]]
    labels = LEARNER.as_tensor(fewer)
    ours, theirs = torch.randn(2, 3, 9, generator=torch.Generator().manual_seed(0))
    outputs, target = SimpleNamespace(logits=ours), SimpleNamespace(logits=theirs)
    told = LEARNER.divergence(outputs, target, labels, 3)
    filled = [place for place in range(9) if place != 5]  # the third of the second row is absent
    mine, other = ours[:, filled].log_softmax(-1), theirs[:, filled].log_softmax(-1)
    assert told.item() == pytest.approx((other.exp() * (other - mine)).sum().item() / 3, rel=1e-5)


def test_rdrop_without_dropout_is_the_loss_of_one_pass(base) -> None:
    """Of the doubled batch each half is ranked among its own replies."""
    _, encoded, targets = encoded_rows(base)
    labels = LEARNER.as_tensor(targets)
    inputs = {**pad(encoded.token_ids, 0), **LEARNER.more_inputs(labels, 0)}
    step = Step(LEARNER.build(base, ())[0].eval(), inputs, labels, LEARNER, n_items=5)
    with torch.no_grad():
        assert float(RDrop(4.0)(step)) == pytest.approx(float(step.loss), abs=1e-5)


def learnt(base, root, **settings):
    path = write_examples(root / "rows.parquet", structured_examples("response_selection", 6))
    data = DatasetRef(name="rows", split="train", path=path, digest=file_digest(path), n_examples=6)
    params = FinetuneParams(
        base_model=str(base), epochs=1, batch_tokens=96, precision="fp32", max_length=32, stride=8,
        early_stopping_metric="recall_at_1", **settings,
    )  # fmt: skip
    out, work = root / "out", root / "work"
    return finetune(data, data, params, out, work=work, problem="response_selection")


@pytest.mark.parametrize("name", ["fgm", "pgd", "freelb", "smart", "rdrop", "l2sp"])
def test_every_objective_that_is_offered_is_learnt(base, tmp_path, name: str) -> None:
    parts = learnt(base, tmp_path, objective={name: {}}).training["history"][-1]
    assert any(key.startswith("train_") and np.isfinite(value) for key, value in parts.items())


def test_a_student_of_some_layers_is_learnt_and_answers(base, tmp_path) -> None:
    student = Predictor.from_checkpoint(learnt(base, tmp_path, student_layers=[0]).path)
    assert student.model.config.num_hidden_layers == 1
    assert len(student.table(some_rows(2)).example_ids) == 2
