"""Exactly which parameters learn, and how many."""

from __future__ import annotations

import warnings

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tiny_writers import save_tiny_writer
from tuned_models import (
    ARCHITECTURES,
    METHODS,
    learning,
    logits,
    n_learning,
    with_head,
)

from pipeline_steps.errors import TrainingError
from pipeline_steps.inference.anatomy import embedding_parameters, layer_lists
from pipeline_steps.inference.learners.language_model import build_writer
from pipeline_steps.training.tuning.adapters import houlsby, norm_parameters, pfeiffer
from pipeline_steps.training.tuning.low_rank import LowRank, Rescaling
from pipeline_steps.training.tuning.prompts import PrefixTuning, PromptTuning
from pipeline_steps.training.tuning.quantized import refuse_without_four_bits
from pipeline_steps.training.tuning.reinitialisation import reinitialise_top
from pipeline_steps.training.tuning.selection import Full, TopLayers
from pipeline_steps.training.tuning.targets import all_linear, key_and_value, query_and_value


def adapted_by(model: torch.nn.Module) -> set[str]:
    """Return the matrices that peft put low-rank updates beside."""
    names = {name for name, module in model.named_modules() if hasattr(module, "lora_A")}
    return {name.removeprefix("base_model.model.") for name in names}


def peft_all_linear(model: torch.nn.Module) -> torch.nn.Module:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="fan_in_fan_out")  # GPT-2's, said and mended
        return get_peft_model(model, LoraConfig(r=2, target_modules="all-linear"))


LAYER_LISTS = {
    "bert": ["bert.encoder.layer"],
    "distilbert": ["distilbert.transformer.layer"],
    "roberta": ["roberta.encoder.layer"],
    "deberta-v2": ["deberta.encoder.layer"],
    "modernbert": ["model.layers"],
    "gpt2": ["transformer.h"],
    "llama": ["model.layers"],
    "t5": ["transformer.encoder.block", "transformer.decoder.block"],
}
ABOVE = {
    "bert": {"bert.pooler.dense.weight", "bert.pooler.dense.bias"},
    "distilbert": set(),
    "roberta": set(),
    "deberta-v2": set(),
    "modernbert": {"model.final_norm.weight"},
    "gpt2": {"transformer.ln_f.weight", "transformer.ln_f.bias"},
    "llama": {"model.norm.weight"},
    "t5": {
        "transformer.encoder.final_layer_norm.weight",
        "transformer.decoder.final_layer_norm.weight",
    },
}
EMBEDDINGS = {
    "bert": {
        f"bert.embeddings.{part}"
        for part in (
            *(f"{kind}_embeddings.weight" for kind in ("word", "position", "token_type")),
            "LayerNorm.weight",
            "LayerNorm.bias",
        )
    },
    "gpt2": {"transformer.wte.weight", "transformer.wpe.weight"},
    "llama": {"model.embed_tokens.weight"},
    "modernbert": {"model.embeddings.tok_embeddings.weight", "model.embeddings.norm.weight"},
    "t5": {"transformer.shared.weight"},
}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_layers_are_found(architecture, bases) -> None:
    model, _ = with_head(bases[architecture])
    lists = layer_lists(model)
    assert list(lists) == LAYER_LISTS[architecture]
    assert {len(layers) for layers in lists.values()} == {2}


def test_a_model_without_layers_is_refused() -> None:
    with pytest.raises(TrainingError, match="Linear keeps its layers in no list of modules"):
        layer_lists(torch.nn.Linear(2, 2))


@pytest.mark.parametrize("architecture", sorted(EMBEDDINGS))
def test_the_embeddings_are_found(architecture, bases) -> None:
    model, head = with_head(bases[architecture])
    assert embedding_parameters(model) == EMBEDDINGS[architecture]
    tuned = Full(freeze_embeddings=True).apply(model, head)
    names = {name for name, _ in model.named_parameters()}
    assert names - learning(tuned) == EMBEDDINGS[architecture]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_top_layer_what_stands_above_and_the_head_learn(architecture, bases) -> None:
    model, head = with_head(bases[architecture])
    names = learning(TopLayers(1).apply(model, head))
    tops = tuple(f"{name}.1." for name in LAYER_LISTS[architecture])
    top = {name for name, _ in model.named_parameters() if name.startswith(tops)}
    assert top
    assert names == top | ABOVE[architecture] | set(head)


@pytest.mark.parametrize("n_layers", [0, 2])
def test_too_many_or_no_top_layers_are_refused(n_layers, bases) -> None:
    model, head = with_head(bases["bert"])
    with pytest.raises(TrainingError, match=rf"top {n_layers} layers shall learn.*has 2"):
        TopLayers(n_layers).apply(model, head)


def test_bitfit_trains_biases_alone(bases) -> None:
    model, head = with_head(bases["bert"])
    body = learning(METHODS["bitfit"].apply(model, head)) - set(head)
    assert all(name.endswith(".bias") for name in body)
    # In each layer 4 matrices and a norm around attention, 2 matrices and a norm after it.
    assert n_learning(model) == 2 * (4 * 16 + 16 + 32 + 16 + 16) + 16 + 16 + 3 * 16 + 3


N_HEAD = 3 * 16 + 3
N_NORMS = 5 * 2 * 16
"""Of the embeddings, and two in each layer."""


@pytest.mark.parametrize(
    ("tuning", "expected"),
    [
        (LowRank(rank=4), 4 * 4 * (16 + 16)),  # query and value in two layers
        (LowRank(rank=4, decomposed=True), 4 * (4 * (16 + 16) + 16)),  # and a length for each row
        (Rescaling(), 2 * (16 + 16 + 32)),  # keys, values and inner features
        (pfeiffer(2), 2 * (2 * 16 * 8 + 8 + 16)),
        (houlsby(4), 2 * 2 * (2 * 16 * 4 + 4 + 16) + N_NORMS),
        (PromptTuning(5), 5 * 16),
        (PrefixTuning(5), 5 * 16 * 2 * 2),
    ],
)  # fmt: skip
def test_so_many_parameters_learn_beside_the_head(tuning, expected, bases) -> None:
    model, head = with_head(bases["bert"])
    assert n_learning(tuning.apply(model, head)) == expected + N_HEAD


def test_a_prefix_has_as_many_heads_as_keys_have(bases) -> None:
    """Llama's keys and values may have fewer heads than its queries."""
    model, head = with_head(bases["llama"])
    tuned = PrefixTuning(5).apply(model, head)
    assert n_learning(tuned) == 5 * 8 * 2 * 2 + 3 * 16


def test_norms_are_those_of_the_body(bases) -> None:
    model, _ = with_head(bases["modernbert"])
    names = norm_parameters(model)
    assert "model.final_norm.weight" in names
    assert not [name for name in names if name.startswith("head.")]


@pytest.mark.parametrize(
    ("architecture", "leaves"),
    [
        ("bert", {"query", "value"}),
        ("distilbert", {"q_lin", "v_lin"}),
        ("deberta-v2", {"query_proj", "value_proj"}),
        ("modernbert", {"Wqkv"}),
        ("gpt2", {"c_attn"}),
        ("llama", {"q_proj", "v_proj"}),
        ("t5", {"q", "v"}),
    ],
)
def test_queries_and_values_are_found(architecture, leaves, bases) -> None:
    model, _ = with_head(bases[architecture])
    found = query_and_value(model)
    assert {name.rpartition(".")[2] for name in found} == leaves
    n_attentions = 6 if architecture == "t5" else 2  # its decoder looks at the encoder too
    assert len(found) == n_attentions * len(leaves)


def test_keys_and_values_are_found(bases) -> None:
    found = key_and_value(with_head(bases["bert"])[0])
    assert {name.rpartition(".")[2] for name in found} == {"key", "value"}


def test_a_model_whose_attention_is_not_recognised_is_refused(bases) -> None:
    model, _ = with_head(bases["bert"])
    for layer in model.bert.encoder.layer:
        attention = layer.attention.self
        attention.hither, attention.thither = attention.query, attention.value
        del attention.query, attention.value
    with pytest.raises(TrainingError, match=r"no attention is recognised[\s\S]*hither, key"):
        query_and_value(model)


def test_named_targets_are_found_outside_the_head_alone(bases) -> None:
    """RoBERTa's head has a module "dense" too, which learns whole."""
    model, head = with_head(bases["roberta"])
    tuned = LowRank(target_modules=("dense",), rank=2).apply(model, head)
    adapted = {name for name in learning(tuned) if "lora_A" in name}
    assert len(adapted) == 2 * 3
    assert not [name for name in adapted if "classifier" in name]


def test_unknown_targets_are_refused_with_those_that_exist(bases) -> None:
    model, head = with_head(bases["bert"])
    with pytest.raises(TrainingError, match=r"names Wqkv, which this model lacks[\s\S]*query"):
        LowRank(target_modules=("query", "Wqkv")).apply(model, head)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_all_linear_is_what_peft_means_by_it_without_the_head(architecture, bases) -> None:
    model, head = with_head(bases[architecture])
    ours = adapted_by(LowRank(target_modules="all-linear", rank=2).apply(model, head))
    theirs = adapted_by(peft_all_linear(with_head(bases[architecture])[0]))
    heads = {name.rpartition(".")[0] for name in head}
    assert ours == {name for name in theirs if name not in heads}
    assert len(ours) >= 2 * 4


@pytest.mark.parametrize("architecture", ["gpt2", "t5", "t5-untied", "bart", "marian", "llama"])
def test_all_linear_leaves_out_the_matrix_that_writes_tokens_as_peft_does(
    architecture, tmp_path
) -> None:
    base = save_tiny_writer(tmp_path / "base", architecture)
    ours = adapted_by(LowRank(target_modules="all-linear", rank=2).apply(build_writer(base), ()))
    assert ours == adapted_by(peft_all_linear(build_writer(base)))
    assert not [name for name in ours if "lm_head" in name]


def test_all_linear_of_a_model_without_any_is_refused() -> None:
    with pytest.raises(TrainingError, match="no linear layer stands outside the head"):
        all_linear(torch.nn.Sequential(torch.nn.Linear(2, 2)), ["0.weight", "0.bias"])


def test_adapters_in_unknown_layers_are_refused(bases) -> None:
    model, head = with_head(bases["bert"])
    for layer in model.bert.encoder.layer:
        layer.output.thick = layer.output.dense
        del layer.output.dense
    with pytest.raises(TrainingError, match=r"which matrix ends the feed_forward[\s\S]*mlp\.Wo"):
        pfeiffer().apply(model, head)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_top_layer_is_drawn_anew_and_nothing_below(architecture, bases) -> None:
    model, _ = with_head(bases[architecture])
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    reinitialise_top(model, 1, seed=3)
    changed = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    allowed = (*(f"{name}.1." for name in LAYER_LISTS[architecture]), "bert.pooler.")
    assert changed
    assert all(name.startswith(allowed) for name in changed)
    first = logits(model)
    reinitialise_top(model, 1, seed=3)
    assert torch.equal(logits(model), first)
    reinitialise_top(model, 1, seed=4)
    assert not torch.equal(logits(model), first)


def test_more_layers_than_there_are_cannot_be_drawn_anew(bases) -> None:
    with pytest.raises(TrainingError, match=r"top 3 layers shall be drawn anew.*has 2"):
        reinitialise_top(with_head(bases["bert"])[0], 3, seed=0)


def test_qlora_is_refused_without_a_gpu() -> None:
    with pytest.raises(TrainingError, match="qlora on the device cpu"):
        refuse_without_four_bits(torch.device("cpu"))


def test_qlora_is_refused_without_bitsandbytes(monkeypatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(TrainingError, match="pip install bitsandbytes"):
        refuse_without_four_bits(torch.device("cuda"))


def test_what_peft_asks_by_an_old_name_is_said_to_nobody(bases) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LowRank().apply(*with_head(bases["bert"]))
