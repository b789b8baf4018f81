"""A student of some layers: the same copies, in the same order, in every architecture."""

from __future__ import annotations

import pytest
import torch
from objective_builders import ARCHITECTURES, batch, tiny_classifier
from tiny_models import configurations
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    GPT2Config,
    LlamaConfig,
    ModernBertConfig,
    ModernBertForSequenceClassification,
    T5Config,
)

from pipeline_steps.errors import TrainingError
from pipeline_steps.training.objectives.student import every_nth_layer, student_from_layers


def decoder(kind: str):
    torch.manual_seed(0)
    if kind == "gpt2":
        return AutoModelForCausalLM.from_config(
            GPT2Config(vocab_size=64, n_embd=16, n_layer=4, n_head=2, n_positions=64,
                       bos_token_id=2, eos_token_id=3)
        )  # fmt: skip
    return AutoModelForCausalLM.from_config(
        LlamaConfig(vocab_size=64, hidden_size=16, num_hidden_layers=4, num_attention_heads=2,
                    intermediate_size=32)
    )  # fmt: skip


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_student_of_all_layers_is_the_teacher(architecture) -> None:
    teacher = tiny_classifier(architecture).eval()
    student = student_from_layers(teacher, [0, 1]).eval()
    assert torch.equal(student(**batch()).logits, teacher(**batch()).logits)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_student_of_one_layer_computes_what_the_teacher_does_up_to_there(architecture) -> None:
    teacher = tiny_classifier(architecture).eval()
    student = student_from_layers(teacher, [0]).eval()
    assert student.config.num_hidden_layers == 1
    mine = student(**batch(), output_hidden_states=True).hidden_states
    theirs = teacher(**batch(), output_hidden_states=True).hidden_states
    assert len(mine) == 2
    assert torch.equal(mine[0], theirs[0])
    if architecture != "modernbert":  # its last hidden state is behind the final norm
        assert torch.equal(mine[1], theirs[1])


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_every_second_layer_of_a_decoder_generates_with_its_cache(kind) -> None:
    student = student_from_layers(decoder(kind), every_nth_layer(4)).eval()
    assert student.config.num_hidden_layers == 2
    ids = batch()["input_ids"][:1]
    ask = {"max_new_tokens": 3, "do_sample": False, "pad_token_id": 0}
    with_cache = student.generate(ids, **ask, use_cache=True)
    assert torch.equal(with_cache, student.generate(ids, **ask, use_cache=False))


def test_layers_come_in_the_order_given() -> None:
    teacher = decoder("gpt2")
    student = student_from_layers(teacher, [3, 1])
    assert torch.equal(
        student.transformer.h[0].mlp.c_fc.weight, teacher.transformer.h[3].mlp.c_fc.weight
    )
    assert torch.equal(
        student.transformer.h[1].mlp.c_fc.weight, teacher.transformer.h[1].mlp.c_fc.weight
    )


def test_the_student_s_weights_are_its_own() -> None:
    teacher = tiny_classifier()
    student = student_from_layers(teacher, [0])
    with torch.no_grad():
        student.classifier.weight.zero_()
    assert teacher.classifier.weight.abs().sum() > 0
    assert teacher.config.num_hidden_layers == 2


def test_a_layer_keeps_its_kind_of_attention() -> None:
    """ModernBERT attends globally in every third layer; moved down, such a layer still does."""
    configuration = configurations()["modernbert"].to_dict()
    for derived in ("global_attn_every_n_layers", "layer_types", "transformers_version"):
        configuration.pop(derived, None)
    kinds = ["full_attention", "sliding_attention", "sliding_attention", "full_attention"]
    deep = ModernBertConfig(**{**configuration, "num_hidden_layers": 4, "layer_types": kinds})
    student = student_from_layers(ModernBertForSequenceClassification(deep), [0, 3])
    assert student.config.layer_types == ["full_attention", "full_attention"]


@pytest.mark.parametrize("layers", [[], [2], [-1]])
def test_layers_that_are_not_there_are_refused(layers) -> None:
    with pytest.raises(TrainingError, match="layers to keep"):
        student_from_layers(tiny_classifier(), layers)


def test_a_first_layer_without_its_norm_is_refused() -> None:
    """ModernBERT's layer 0 has no norm before attention: another in its place would not fit."""
    with pytest.raises(TrainingError, match="keep layer 0 as the first"):
        student_from_layers(tiny_classifier("modernbert"), [1])


def test_a_model_of_two_stacks_is_refused() -> None:
    configuration = T5Config(vocab_size=64, d_model=16, d_kv=8, num_layers=2, num_heads=2, d_ff=32)
    with pytest.raises(TrainingError, match="2 stacks of 2 layers"):
        student_from_layers(AutoModelForSeq2SeqLM.from_config(configuration), [0])
