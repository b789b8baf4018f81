"""Learners: what is encoded, learnt from and decoded, whatever the batch, window and architecture."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from builders import structured_examples, write_examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_models import TARGETS, WORDS, configurations, save_tiny_model
from tiny_writers import DECODERS, save_tiny_writer
from transformers import AutoModel

from pipeline_steps.digests import file_digest
from pipeline_steps.errors import CheckpointError, TrainingError
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.inference.examples_file import read_examples, rows_of
from pipeline_steps.inference.forward import pad
from pipeline_steps.inference.learners.catalog import get_learner
from pipeline_steps.inference.learners.losses import IGNORED
from pipeline_steps.inference.learners.relation_extraction import marked_text
from pipeline_steps.inference.predict import predict
from pipeline_steps.inference.predictor import Predictor
from pipeline_steps.inference.tokenization import load_tokenizer
from pipeline_steps.judging_params import PredictParams
from pipeline_steps.predictions_file import read_predictions
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.problems.problem import Content
from pipeline_steps.problems.question_answering import answers
from pipeline_steps.problems.question_answering import target_of as answers_target
from pipeline_steps.problems.relation_extraction import target_of as spans_target
from pipeline_steps.training.finetune import finetune
from pipeline_steps.types import DatasetRef

OF_ENCODERS = ("ner", "relation_extraction", "question_answering", "multi_label_classification")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def tokenizer(base):
    return load_tokenizer(base)


def rows(problem: str, n: int):
    contents = [
        Content(row["text"], row["text_pair"], row["target"])
        for row in structured_examples(problem, n)
    ]
    found = rows_of(contents)
    if problem == "relation_extraction":
        found.labels[:] = [row["label"] for row in structured_examples(problem, n)]
    return found


def sentence(words: list[str]):
    return rows_of([get_problem("ner").example({"tokens": words})])


@given(words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=60), length=st.integers(5, 30))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_word_of_a_long_sentence_is_answered_for_once(tokenizer, words, length) -> None:
    encoded = get_learner("ner").encode(tokenizer, sentence(words), length, stride=64)
    places = encoded.places[0]
    assert len(places) == len(words)
    assert len(set(places)) == len(words)
    vocabulary = tokenizer.get_vocab()
    assert [encoded.token_ids[w][p] for w, p in places] == [vocabulary[word] for word in words]
    assert max(encoded.lengths) <= length
    targets = get_learner("ner").targets(encoded, sentence(words), ("O", "B-x", "I-x"))
    assert sum(tag != IGNORED for row in targets for tag in row) == len(words)


def test_a_word_without_a_token_is_outside() -> None:
    """A learner's outputs for it are sure of O."""
    learner = get_learner("ner")
    encoded = SimpleNamespace(places=[[None]], token_ids=[], lengths=[], __len__=lambda: 0)
    model = torch.nn.Linear(1, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline_steps.inference.learners.ner.token_outputs", lambda *_: [])
        outputs = learner.run(model, encoded, 0, 10, 3)
    [answer] = learner.answers(outputs, encoded, sentence(["x"]), ("O", "B-x", "I-x"))
    assert (answer["tags"], answer["score"]) == (["O"], 1.0)


def test_tags_that_no_training_row_has_are_not_learnt_from(tokenizer) -> None:
    learner, two = get_learner("ner"), rows("ner", 2)
    encoded = learner.encode(tokenizer, two, 64, 8)
    targets = learner.targets(encoded, two, ("O", "B-work", "I-work"))
    assert IGNORED in [targets[w][p] for w, p in encoded.places[1]]
    assert IGNORED not in [targets[w][p] for w, p in encoded.places[0]]


def test_training_rows_without_an_entity_are_refused() -> None:
    with pytest.raises(TrainingError, match="no training row has an entity"):
        get_learner("ner").labels_of(sentence(["card"]))


@given(data=st.data())
def test_marks_are_all_that_is_added_to_a_text(data) -> None:
    text = data.draw(st.text("ab ", min_size=2, max_size=12))
    places = st.integers(0, len(text) - 1).flatmap(
        lambda s: st.tuples(st.just(s), st.integers(s + 1, len(text)))
    )
    head, tail = data.draw(places), data.draw(places)
    marked, head_at, tail_at = marked_text(text, head, tail)
    assert (marked[head_at], marked[tail_at]) == ("@", "#")
    assert marked.count("@") == marked.count("#") == 2
    unmarked = marked.replace("@ ", "").replace("# ", "").replace(" @", "").replace(" #", "")
    assert unmarked.replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("gap", [1, 30, 80])
def test_a_text_that_is_too_long_keeps_both_marks(tmp_path, gap: int) -> None:
    tokenizer = load_tokenizer(save_tiny_model(tmp_path))
    text = " ".join([*["the"] * 20, "card", *["is"] * gap, "fee", *["the"] * 20])
    head, tail = text.index("card"), text.index("fee")
    target = spans_target((head, head + 4), (tail, tail + 3))
    learner = get_learner("relation_extraction")
    encoded = learner.encode(tokenizer, rows_of([Content(text, target=target)]), 16, 4)
    words = tokenizer.convert_ids_to_tokens(encoded.token_ids[0])
    assert len(words) <= 16
    assert (words[0], words[-1]) == ("[CLS]", "[SEP]")
    for mark, word in zip(encoded.marks[0], ("card", "fee"), strict=True):
        assert words[mark] == "[UNK]"  # the tiny vocabulary has no mark
        assert words[mark + 1] == word
    assert encoded.n_truncated == 1


@pytest.mark.parametrize(
    ("problem", "architecture"),
    [("ner", "bart"), ("question_answering", "bart"), ("text_classification", "marian")],
)
def test_an_architecture_without_such_a_head_is_refused(problem, architecture, tmp_path) -> None:
    save_tiny_writer(tmp_path, architecture)
    with pytest.raises(CheckpointError, match=f"is a {architecture}, for which there is no Auto"):
        get_learner(problem).build(tmp_path, ("a", "b"))


@pytest.mark.parametrize("architecture", DECODERS)
def test_a_decoder_has_read_both_entities_of_a_relation(architecture, tmp_path) -> None:
    tokenizer = load_tokenizer(save_tiny_writer(tmp_path / "base", architecture))
    contents = []
    for word in ("fee", "loan"):  # the same up to the tail, which is the last word
        text = f"the card is my {word}"
        target = spans_target((4, 8), (len(text) - len(word), len(text)))
        contents.append(Content(text, target=target))
    learner = get_learner("relation_extraction")
    encoded = learner.encode(tokenizer, rows_of(contents), 64, 4)
    labels = torch.tensor([(0, *marks) for marks in encoded.marks])
    learner.build(tmp_path / "base", ("a", "b"))[0].save_pretrained(tmp_path / "saved")
    model = learner.load(tmp_path / "saved").eval()
    fee, loan = learner.run(model, encoded, 0, 1024, 2)
    assert not np.allclose(fee, loan, atol=1e-4)
    trained = learner.loss(model(**pad(encoded.token_ids, 0)), labels, 1).item()
    read = -sum(torch.tensor(row).log_softmax(-1)[0].item() for row in (fee, loan))
    assert trained == pytest.approx(read, abs=1e-5)


@given(n=st.integers(4, 80), at=st.integers(0, 79), length=st.integers(14, 40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_answer_is_found_in_some_window_of_its_context(tokenizer, n, at, length) -> None:
    words = ["my"] * n
    words[at % n] = "loan"
    context = " ".join(words)
    target = answers_target([("loan", context.index("loan"))])
    asked = rows_of([Content(context, "is it good", target)])
    learner = get_learner("question_answering")
    encoded = learner.encode(tokenizer, asked, length, 8)
    targets = learner.targets(encoded, asked, ("answer",))
    held = [(w, first) for w, (first, last, _) in enumerate(targets) if first == last != 0]
    loan = tokenizer.get_vocab()["loan"]
    assert held
    assert all(encoded.token_ids[w][first] == loan for w, first in held)
    assert max(encoded.lengths) <= length


def test_a_question_that_is_too_long_leaves_room_for_the_context(tokenizer) -> None:
    asked = rows_of([Content("the card is bad", "what " * 90, answers_target([]))])
    encoded = get_learner("question_answering").encode(tokenizer, asked, 24, 8)
    assert encoded.lengths == [2 + 8 + 4 + 1]
    assert encoded.n_truncated == 1


@pytest.mark.parametrize(
    ("labels", "none", "expected"),
    [
        (("answer",), 99.0, "card"),
        (("answer", "no answer"), 99.0, ""),
        (("answer", "no answer"), 0.0, "card"),
    ],
)
def test_no_answer_is_given_where_it_was_learnt_and_scores_higher(
    tokenizer, labels, none: float, expected: str
) -> None:
    asked = rows_of([Content("my card is bad", "what", answers_target([]))])
    learner = get_learner("question_answering")
    encoded = learner.encode(tokenizer, asked, 32, 8)
    values = np.zeros((encoded.lengths[0], 2), dtype=np.float32)
    card = encoded.token_ids[0].index(tokenizer.get_vocab()["card"])
    values[card] = 5.0
    values[0] = none / 2
    [answer] = learner.answers([values], encoded, asked, labels)
    assert answer["answer"] == expected
    assert answer["start"] == (3 if expected else -1)
    assert 0.0 < answer["score"] <= 1.0


def batch(learner, encoded, targets, model, chosen: list[int]):
    from pipeline_steps.inference.forward import pad

    inputs = pad([encoded.token_ids[i] for i in chosen], 0)
    with torch.no_grad():
        outputs = model(**inputs)
    return outputs, learner.as_tensor([targets[i] for i in chosen])


def prepared(problem: str, base, tokenizer, n: int = 8):
    learner, some = get_learner(problem), rows(problem, n)
    labels = learner.labels_of(some)
    torch.manual_seed(0)
    model = learner.build(base, labels)[0].eval()
    encoded = learner.encode(tokenizer, some, 24, 8)
    return learner, model, encoded, learner.targets(encoded, some, labels), some, labels


@pytest.mark.parametrize("problem", OF_ENCODERS)
def test_accumulated_batches_have_the_loss_of_one(base, tokenizer, problem: str) -> None:
    """Whatever their padding, and however unequally items are spread over them."""
    learner, model, encoded, targets, _, _ = prepared(problem, base, tokenizer)
    everything = list(range(len(encoded)))
    outputs, labels = batch(learner, encoded, targets, model, everything)
    n_items = learner.n_items(labels)
    parts = [everything[:3], everything[3:4], everything[4:]]
    summed = sum(
        float(learner.loss(*batch(learner, encoded, targets, model, part), n_items))
        for part in parts
    )
    assert summed == pytest.approx(float(learner.loss(outputs, labels, n_items)), rel=1e-5)


@pytest.mark.parametrize("problem", ["text_classification", *OF_ENCODERS])
def test_divergence_is_0_from_itself_and_above_from_others(problem: str, base, tokenizer) -> None:
    if problem == "text_classification":
        learner, labels = get_learner(problem), torch.tensor([0, 1])
        ours, theirs = (SimpleNamespace(logits=torch.randn(2, 3)) for _ in range(2))
    else:
        learner, model, encoded, targets, _, _ = prepared(problem, base, tokenizer)
        ours, labels = batch(learner, encoded, targets, model, [0, 1])
        theirs = SimpleNamespace(logits=ours.logits + torch.randn_like(ours.logits))
    n_items = learner.n_items(labels)
    assert float(learner.divergence(ours, ours, labels, n_items)) == pytest.approx(0.0, abs=1e-6)
    found = learner.divergence(ours, theirs, labels, n_items)
    assert torch.isfinite(found)
    assert float(found) > 0.01


def test_divergence_of_a_batch_without_words_is_0() -> None:
    outputs = SimpleNamespace(logits=torch.randn(1, 4, 3))
    labels = torch.full((1, 4), IGNORED)
    learner = get_learner("ner")
    assert float(learner.divergence(outputs, outputs, labels, 0)) == 0.0
    assert float(learner.loss(outputs, labels, 0)) == 0.0


@pytest.mark.parametrize("problem", OF_ENCODERS)
def test_outputs_do_not_depend_on_the_batch(base, tokenizer, problem: str) -> None:
    learner, model, encoded, targets, some, labels = prepared(problem, base, tokenizer)
    alone, together = (
        learner.run(model, encoded, 0, tokens, len(labels)) for tokens in (1, 10_000)
    )
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    scores = learner.validation_scores(together, encoded, targets, some, labels)
    assert all(np.isfinite(list(scores.values())))
    outputs, tensor = batch(learner, encoded, targets, model, list(range(len(encoded))))
    loss = float(learner.loss(outputs, tensor, learner.n_items(tensor)))
    assert scores["loss"] == pytest.approx(loss, rel=1e-4)


def dataset(path, problem: str, n: int, name: str) -> DatasetRef:
    write_examples(path, structured_examples(problem, n))
    digest = file_digest(path, "md5")
    return DatasetRef(name=name, split=name, path=path, digest=digest, n_examples=n)


def trained(problem: str, base, root, **settings):
    params = FinetuneParams(
        base_model=str(base), epochs=settings.pop("epochs", 1), precision="fp32", max_length=32,
        learning_rate=3e-3, early_stopping_metric="loss", checkpoints_per_epoch=1, **settings,
    )  # fmt: skip
    data = [dataset(root / f"{name}.parquet", problem, 40, name) for name in ("train", "valid")]
    return finetune(*data, params, root / "checkpoint", work=root / "work", problem=problem)


LEARNT = {
    "ner": "entity_f1",
    "relation_extraction": "accuracy",
    "question_answering": "f1",
    "multi_label_classification": "micro_f1",
}


@pytest.mark.parametrize("problem", OF_ENCODERS)
def test_what_is_learnt_is_predicted_and_served(base, tmp_path, problem: str) -> None:
    checkpoint = trained(
        problem, base, tmp_path, epochs=25, batch_tokens=128, early_stopping_patience=25
    )
    history = checkpoint.training["history"]
    assert history[-1]["loss"] < history[0]["loss"]
    assert history[-1][LEARNT[problem]] > 0.7
    test = dataset(tmp_path / "test.parquet", problem, 10, "test")
    made = predict(checkpoint, test, tmp_path / "p.parquet", PredictParams())
    assert made.problem == problem
    table = read_predictions(made)
    asked = get_problem(problem)
    requests = [asked.request(row) for row in structured_examples(problem, 10)]
    served = Predictor.from_checkpoint(checkpoint.path).answer(requests)
    for answer, predicted, score in zip(served, table.predicted, table.score, strict=True):
        assert {name: answer[name] for name in asked.answer(predicted)} == asked.answer(predicted)
        assert answer["score"] == pytest.approx(score, abs=1e-4)
        assert {field.name for field in asked.outputs} <= set(answer)


@pytest.mark.parametrize("problem", OF_ENCODERS)
def test_nothing_asked_is_nothing_answered(base, tmp_path, problem: str) -> None:
    predictor = Predictor.from_checkpoint(trained(problem, base, tmp_path).path)
    assert predictor.answer([]) == []


@pytest.mark.parametrize("architecture", sorted(configurations()))
@pytest.mark.parametrize("problem", OF_ENCODERS)
@pytest.mark.parametrize("kind", ["full", "lora"])
def test_every_architecture_learns_every_problem(
    tmp_path, architecture: str, problem: str, kind: str
) -> None:
    base = save_tiny_model(tmp_path / "base", architecture)
    tuning = {"kind": "full"}
    if kind == "lora":
        tuning = {"kind": "lora", "target_modules": TARGETS[architecture], "rank": 2}
    checkpoint = trained(problem, base, tmp_path, tuning=tuning)
    body = AutoModel.from_pretrained(checkpoint.path)
    assert sum(p.numel() for p in body.parameters()) > 0
    asked = get_problem(problem)
    request = asked.request(structured_examples(problem, 1)[0])
    assert Predictor.from_checkpoint(checkpoint.path).answer([request])


def test_examples_on_disk_carry_their_targets(tmp_path) -> None:
    write_examples(tmp_path / "r.parquet", structured_examples("question_answering", 4))
    found = read_examples(tmp_path / "r.parquet")
    assert [len(answers(target)) for target in found.targets] == [1, 1, 1, 0]
    assert json.loads(found.targets[0])["answers"][0]["text"] == "card"
