"""Embeddings in place of token ids: exactly the same pass, whatever the architecture."""

from __future__ import annotations

import pytest
import torch
from objective_builders import (
    ARCHITECTURES,
    Classification,
    batch,
    make_step,
    tiny_classifier,
    with_lora,
)
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    GPT2Config,
    LlamaConfig,
    T5Config,
)

from pipeline_steps.errors import TrainingError
from pipeline_steps.training.objectives.step import Step

DECODERS = {
    "gpt2": GPT2Config(vocab_size=64, n_embd=16, n_layer=2, n_head=2, n_positions=64,
                       pad_token_id=0, bos_token_id=2, eos_token_id=3, num_labels=3),
    "llama": LlamaConfig(vocab_size=64, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                         intermediate_size=32, pad_token_id=0, num_labels=3),
}  # fmt: skip
LEFT_PADDED = torch.tensor([[2, 10, 11, 3], [0, 0, 12, 3]])


def left_padded() -> dict[str, torch.Tensor]:
    return {"input_ids": LEFT_PADDED, "attention_mask": (LEFT_PADDED != 0).long()}


def assert_same_logits(step: Step) -> None:
    step.model.eval()
    expected = step.model(**step.inputs).logits
    assert torch.equal(step.forward(step.embeddings()).logits, expected)
    step.keeps_embeddings = True
    assert torch.equal(step.outputs.logits, expected)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("inputs", [batch(), left_padded()], ids=["right", "left"])
def test_an_encoder_reads_embeddings_as_it_reads_ids(architecture, inputs) -> None:
    """RoBERTa derives positions from the ids: called with inputs_embeds it would count padding."""
    assert_same_logits(make_step(tiny_classifier(architecture), inputs=inputs))


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("head", [AutoModelForSequenceClassification, AutoModelForCausalLM])
@pytest.mark.parametrize("inputs", [batch(), left_padded()], ids=["right", "left"])
def test_a_decoder_reads_embeddings_as_it_reads_ids(name, head, inputs) -> None:
    torch.manual_seed(0)
    assert_same_logits(make_step(head.from_config(DECODERS[name]), inputs=inputs))


@pytest.mark.parametrize("name", DECODERS)
def test_inputs_embeds_would_classify_the_padding(name) -> None:
    """Why ids are given all the same; when this fails, transformers has learnt the mask."""
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(DECODERS[name]).eval()
    inputs = batch()
    embedded = model.get_input_embeddings()(inputs["input_ids"])
    there = model(inputs_embeds=embedded, attention_mask=inputs["attention_mask"]).logits
    assert not torch.allclose(there, model(**inputs).logits, atol=1e-3)


def test_inputs_embeds_would_miscount_positions_of_roberta_on_the_left() -> None:
    model = tiny_classifier("roberta").eval()
    inputs = left_padded()
    embedded = model.get_input_embeddings()(inputs["input_ids"])
    there = model(inputs_embeds=embedded, attention_mask=inputs["attention_mask"]).logits
    assert not torch.allclose(there, model(**inputs).logits, atol=1e-3)


def t5_step() -> Step:
    torch.manual_seed(0)
    configuration = T5Config(
        vocab_size=64, d_model=16, d_kv=8, num_layers=2, num_heads=2, d_ff=32, pad_token_id=0,
        decoder_start_token_id=0,
    )  # fmt: skip
    decoder = torch.tensor([[0, 5, 6], [0, 7, 4], [0, 8, 4], [0, 9, 4]])
    inputs = {**batch(), "decoder_input_ids": decoder}
    return make_step(AutoModelForSeq2SeqLM.from_config(configuration), inputs=inputs)


def test_t5_reads_the_encoder_s_embeddings_and_looks_up_the_decoder_s() -> None:
    """Its encoder has an embedding layer of its own that shares the reported one's weights."""
    assert_same_logits(t5_step())


def test_moving_the_encoder_s_embeddings_moves_t5() -> None:
    step = t5_step()
    step.model.eval()
    moved = step.forward(step.embeddings() + 1.0).logits
    assert not torch.allclose(moved, step.model(**step.inputs).logits, atol=1e-3)


def test_adapters_do_not_change_what_is_read() -> None:
    assert_same_logits(make_step(with_lora(tiny_classifier())))


def test_token_types_and_positions_are_passed_on() -> None:
    types = torch.tensor([[0, 0, 0, 1, 1, 1]] * 4)
    assert_same_logits(make_step(tiny_classifier(), inputs={**batch(), "token_type_ids": types}))


def test_the_model_is_as_before_after_a_pass_with_embeddings() -> None:
    step = make_step(tiny_classifier())
    before = step.model(**step.inputs).logits
    step.forward(step.embeddings() + 1.0)
    assert torch.equal(step.model(**step.inputs).logits, before)
    assert not step.model.get_input_embeddings()._forward_hooks


def test_the_clean_pass_is_run_once() -> None:
    step = make_step(tiny_classifier(dropout=0.5))
    assert step.outputs is step.outputs
    assert step.loss is step.loss


def test_frozen_embeddings_can_be_differentiated_by() -> None:
    step = make_step(with_lora(tiny_classifier()), keeps_embeddings=True)
    (gradient,) = torch.autograd.grad(step.loss, step.clean_embeddings)
    assert gradient.abs().sum() > 0


def test_hidden_states_are_kept_when_asked_for() -> None:
    step = make_step(tiny_classifier(), keeps_hidden_states=True)
    assert len(step.outputs.hidden_states) == 3
    assert make_step(tiny_classifier()).outputs.hidden_states is None


class NoEmbeddings(torch.nn.Module):
    def get_input_embeddings(self):
        return None


class UnreadEmbeddings(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(64, 2)

    def get_input_embeddings(self):
        return self.embed

    def forward(self, input_ids, attention_mask):
        return input_ids


def test_a_model_without_embeddings_is_refused() -> None:
    with pytest.raises(TrainingError, match="NoEmbeddings has no input embeddings"):
        make_step(NoEmbeddings()).embeddings()


def test_cached_features_are_refused() -> None:
    step = make_step(tiny_classifier(), inputs={"features": torch.zeros(4, 2)})
    with pytest.raises(TrainingError, match="has no input embeddings"):
        step.embeddings()


def test_a_model_that_does_not_look_its_embeddings_up_is_refused() -> None:
    """Otherwise an attack would train on clean batches and nobody would know."""
    step = Step(UnreadEmbeddings(), batch(), torch.zeros(4), Classification(), 4)
    with pytest.raises(TrainingError, match="ran without its input embedding layer"):
        step.forward(step.embeddings())
