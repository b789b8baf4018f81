"""Models that write: what is learnt and decoded, whatever the batch and architecture."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from tiny_models import WORDS, save_tiny_model
from tiny_writers import CONFIGURATIONS, DECODERS, save_tiny_writer

from pipeline_steps.errors import CheckpointError, TrainingError
from pipeline_steps.generation_params import GenerationParams
from pipeline_steps.inference.examples_file import rows_of
from pipeline_steps.inference.forward import pad
from pipeline_steps.inference.learners.catalog import get_learner
from pipeline_steps.inference.learners.losses import IGNORED
from pipeline_steps.inference.learners.prompting import decoder_prompt, decoder_reply, source_prompt
from pipeline_steps.inference.tokenization import load_tokenizer
from pipeline_steps.problems.conversation import Message
from pipeline_steps.problems.problem import Content
from pipeline_steps.problems.writing import target_of
from pipeline_steps.training.data import Collator

SHORT = GenerationParams(max_new_tokens=8)
ARCHITECTURES = sorted(CONFIGURATIONS)


def some_rows(n: int = 6):
    """Return rows whose sources and targets have different lengths."""
    contents = []
    for i in range(n):
        source = " ".join(WORDS[(i * 5 + j) % len(WORDS)] for j in range(2 + i % 4))
        target = " ".join(WORDS[(i * 3 + j) % len(WORDS)] for j in range(1 + (i * 2) % 5))
        contents.append(Content(source, target=target_of([target])))
    return rows_of(contents)


def prepared(path, architecture: str, rows, **settings):
    base = save_tiny_writer(path, architecture)
    learner = get_learner("translation", generation=SHORT, path=base, **settings)
    tokenizer = load_tokenizer(base)
    encoded = learner.encode(tokenizer, rows, 32, 8)
    return learner, learner.build(base, ())[0].eval(), encoded


def forward(learner, model, encoded, rows, chosen):
    targets = learner.targets(encoded, rows, ())
    batch = Collator(0, learner.as_tensor, learner.more_inputs)(
        [{"input_ids": encoded.token_ids[i], "label": targets[i]} for i in chosen]
    )
    labels = batch.pop("labels")
    return model(**batch), labels


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_overfitted_batch_is_reproduced_exactly(tmp_path, architecture: str) -> None:
    rows = some_rows()
    learner, model, encoded = prepared(tmp_path, architecture, rows)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(150):
        outputs, labels = forward(learner, model.train(), encoded, rows, range(len(rows)))
        loss = learner.loss(outputs, labels, learner.n_items(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.05 < losses[0]
    outputs = learner.run(model.eval(), encoded, 0, 1_000, 0)
    table = learner.table(outputs, encoded, rows, ())
    assert [[json.loads(p)["text"]] for p in table.predicted] == [
        json.loads(t) for t in table.truth
    ]
    assert table.score.min() > 0.5
    scores = learner.validation_scores(outputs, encoded, [], rows, ())
    assert scores["chrf"] == pytest.approx(1.0)
    assert scores["loss"] == pytest.approx(losses[-1], rel=0.5)


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_is_written_does_not_depend_on_the_batch(tmp_path, architecture, beams) -> None:
    rows = some_rows(7)
    base = save_tiny_writer(tmp_path, architecture)
    settings = GenerationParams(max_new_tokens=6, num_beams=beams)
    learner = get_learner("translation", generation=settings, path=base)
    model = learner.build(base, ())[0].eval()
    encoded = learner.encode(load_tokenizer(base), rows, 32, 8)
    alone, together = (learner.run(model, encoded, 0, tokens, 0) for tokens in (1, 10_000))
    assert alone.written == together.written
    np.testing.assert_allclose(alone.nll, together.nll, rtol=1e-4)
    np.testing.assert_allclose(alone.log_probability, together.log_probability, rtol=1e-4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_accumulated_batches_have_the_loss_of_one_which_is_that_of_transformers(
    tmp_path, architecture: str
) -> None:
    rows = some_rows()
    learner, model, encoded = prepared(tmp_path, architecture, rows)
    with torch.no_grad():
        outputs, labels = forward(learner, model, encoded, rows, range(6))
        n_items = learner.n_items(labels)
        whole = float(learner.loss(outputs, labels, n_items))
        parts = [
            learner.loss(*forward(learner, model, encoded, rows, part), n_items)
            for part in ([0, 1, 2], [3], [4, 5])
        ]
        assert float(sum(parts)) == pytest.approx(whole, rel=1e-5)
        inputs = pad(encoded.token_ids, 0)
        theirs = labels
        if architecture in DECODERS:  # transformers shifts by itself
            theirs = torch.full_like(labels, IGNORED)
            theirs[:, 1:] = labels[:, :-1]
        assert float(model(**inputs, labels=theirs).loss) == pytest.approx(whole, rel=1e-5)
    outputs = learner.run(model, encoded, 0, 1_000, 0)
    assert outputs.nll.sum() / n_items == pytest.approx(whole, rel=1e-5)


@pytest.mark.parametrize("architecture", ["t5", "gpt2"])
def test_the_loss_is_that_of_the_reply_alone(tmp_path, architecture: str) -> None:
    rows = some_rows()
    learner, _, encoded = prepared(tmp_path, architecture, rows)
    targets = learner.targets(encoded, rows, ())
    for row, reply in zip(targets, encoded.replies, strict=True):
        assert [token for token in row if token != IGNORED] == reply
        assert reply[-1] == 1


@pytest.mark.parametrize("architecture", ["t5", "gpt2"])
def test_divergence_is_0_from_itself_and_above_from_others(tmp_path, architecture: str) -> None:
    rows = some_rows()
    learner, model, encoded = prepared(tmp_path, architecture, rows)
    with torch.no_grad():
        ours, labels = forward(learner, model, encoded, rows, [0, 1])
        n_items = learner.n_items(labels)
        assert float(learner.divergence(ours, ours, labels, n_items)) == pytest.approx(0, abs=1e-6)
        theirs = type(ours)(logits=ours.logits + torch.randn_like(ours.logits))
        assert float(learner.divergence(ours, theirs, labels, n_items)) > 0.01


def test_a_reply_that_is_too_long_is_cut_and_has_no_end(tmp_path) -> None:
    rows = rows_of([Content("card", target=target_of(["the card is bad " * 5]))])
    for architecture in ("t5", "gpt2"):
        _, _, encoded = prepared(tmp_path / architecture, architecture, rows)
        assert len(encoded.replies[0]) == 8
        assert 1 not in encoded.replies[0]
        assert encoded.n_truncated == 1


def test_nothing_asked_is_nothing_answered(tmp_path) -> None:
    learner, model, encoded = prepared(tmp_path, "gpt2", rows_of([]))
    outputs = learner.run(model, encoded, 0, 100, 0)
    assert learner.answers(outputs, encoded, rows_of([]), ()) == []


def test_only_the_first_rows_are_decoded_while_training(tmp_path) -> None:
    rows = some_rows()
    learner, model, encoded = prepared(tmp_path, "t5", rows, decoded_rows=2)
    outputs = learner.run(model, encoded, 0, 1_000, 0)
    assert (len(outputs.written), len(outputs.nll)) == (2, 6)
    assert set(learner.validation_scores(outputs, encoded, [], rows, ())) == {
        "loss",
        "chrf",
        "bleu",
    }


def test_an_encoder_is_refused(tmp_path) -> None:
    base = save_tiny_model(tmp_path)
    with pytest.raises(CheckpointError, match="which cannot write"):
        get_learner("translation", path=base)


@pytest.mark.parametrize(("architecture", "part"), [("t5", "layer.0"), ("gpt2", "h.1")])
def test_a_base_that_lacks_weights_is_refused(tmp_path, architecture: str, part: str) -> None:
    from safetensors.torch import load_file, save_file

    base = save_tiny_writer(tmp_path, architecture)
    weights = base / "model.safetensors"
    kept = {name: value for name, value in load_file(weights).items() if part not in name}
    save_file(kept, weights, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="they would be random"):
        get_learner("translation", path=base).build(base, ())


def test_a_model_without_room_for_an_answer_is_refused(tmp_path) -> None:
    base = save_tiny_writer(tmp_path, "gpt2")
    learner = get_learner("translation", generation=GenerationParams(max_new_tokens=64), path=base)
    with pytest.raises(TrainingError, match="the model reads 64"):
        learner.encode(load_tokenizer(base), some_rows(), 32, 8)


TALK = [
    Message("system", "the"),
    Message("user", "my card is bad"),
    Message("assistant", "very bad"),
    Message("user", "a loan"),
]


def said(tokenizer, ids) -> str:
    return tokenizer.decode(ids, skip_special_tokens=False)


def test_a_decoder_is_asked_by_its_chat_template(tmp_path) -> None:
    tokenizer = load_tokenizer(save_tiny_writer(tmp_path, "llama", chat=True))
    prompt, cut = decoder_prompt(tokenizer, TALK, 64)
    assert not cut
    assert said(tokenizer, prompt).endswith("user : a loan </s> assistant :")
    assert said(tokenizer, decoder_reply(tokenizer, TALK, "it is good")) == "it is good </s>"


def test_without_a_template_turns_stand_one_below_another(tmp_path) -> None:
    tokenizer = load_tokenizer(
        save_tiny_writer(tmp_path, "gpt2", words=[*WORDS, "user:", "assistant:"])
    )
    prompt, _ = decoder_prompt(tokenizer, TALK[1:], 64)
    assert said(tokenizer, prompt) == (
        "user: my card is bad assistant: very bad user: a loan </s> assistant:"
    )
    assert said(tokenizer, decoder_prompt(tokenizer, TALK[3:], 64)[0]) == "a loan </s>"


def test_a_long_conversation_loses_its_oldest_turns_first(tmp_path) -> None:
    tokenizer = load_tokenizer(save_tiny_writer(tmp_path, "llama", chat=True))
    prompt, cut = decoder_prompt(tokenizer, TALK, 14)
    assert cut
    assert said(tokenizer, prompt) == "<unk> : the </s> user : a loan </s> assistant :"
    prompt, _ = decoder_prompt(tokenizer, [Message("user", "my card is very bad")], 9)
    assert said(tokenizer, prompt) == "user : my card is very </s> assistant :"


def test_a_long_source_loses_its_end(tmp_path) -> None:
    tokenizer = load_tokenizer(save_tiny_writer(tmp_path, "t5"))
    prompt, cut = source_prompt(tokenizer, [Message("user", "my card is very bad")], 4)
    assert (said(tokenizer, prompt), cut) == ("my card is </s>", True)


def test_the_prefix_stands_before_every_text(tmp_path) -> None:
    base = save_tiny_writer(tmp_path, "t5")
    settings = GenerationParams(prefix="the message ")
    learner = get_learner("translation", generation=settings, path=base)
    tokenizer = load_tokenizer(base)
    encoded = learner.encode(tokenizer, rows_of([Content("my card")]), 32, 8)
    assert said(tokenizer, encoded.prompts[0]) == "the message my card </s>"
    assert encoded.replies == [[]]
