"""How far positions go: tables of them, counted from where each architecture begins."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny_models import configurations
from tiny_writers import CONFIGURATIONS
from transformers import AutoModel, DebertaV2Config, MPNetConfig, PretrainedConfig

from pipeline_steps.errors import TrainingError
from pipeline_steps.inference.positions import longest_input, most_positions
from pipeline_steps.inference.unmerged.prompts import PrefixSpec, PromptSpec
from pipeline_steps.inference.unmerged.storage import attach
from pipeline_steps.training.preparation import refuse_too_long

CONFIGS: dict[str, PretrainedConfig] = {
    **configurations(),
    **{name: CONFIGURATIONS[name](64) for name in ("gpt2", "bart", "marian", "llama", "t5")},
    "deberta-v3": DebertaV2Config(
        vocab_size=64, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64, position_biased_input=False,
        relative_attention=True, position_buckets=8, pos_att_type=["p2c", "c2p"],
    ),
    "mpnet": MPNetConfig(
        vocab_size=64, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=70,
    ),
}  # fmt: skip
LIMITS = {"bert": 64, "distilbert": 64, "gpt2": 64, "bart": 64, "marian": 64, "deberta-v2": 64,
          "roberta": 69, "mpnet": 68}  # fmt: skip

MESSAGE = r"out of (range|bounds)|must match the (existing )?size"


def model_of(name: str) -> Any:
    torch.manual_seed(0)
    return AutoModel.from_config(CONFIGS[name]).eval()


def read(model: Any, n_tokens: int) -> None:
    ids = torch.full((1, n_tokens), 7)
    decoded = {"decoder_input_ids": ids[:, :2]} if model.config.is_encoder_decoder else {}
    with torch.inference_mode():
        model(input_ids=ids, attention_mask=torch.ones_like(ids), **decoded)


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_a_model_reads_as_many_tokens_as_it_has_positions_and_not_one_more(name: str) -> None:
    model = model_of(name)
    assert most_positions(model) == LIMITS[name]
    read(model, LIMITS[name])
    with pytest.raises((IndexError, RuntimeError), match=MESSAGE):
        read(model, LIMITS[name] + 1)


@pytest.mark.parametrize("spec", [PromptSpec(5), PrefixSpec(5)])
@pytest.mark.parametrize("name", ["bert", "roberta", "gpt2"])
def test_what_learnt_vectors_take_up_is_not_there_for_texts(name: str, spec: Any) -> None:
    model = model_of(name)
    attach(model, spec)
    assert most_positions(model) == LIMITS[name] - 5
    read(model, LIMITS[name] - 5)
    with pytest.raises(TrainingError, match=f"at most {LIMITS[name]} together"):
        read(model, LIMITS[name] - 4)
    with pytest.raises(TrainingError, match=f"{LIMITS[name] - 5} positions for text"):
        refuse_too_long(model, [LIMITS[name] - 4])


@pytest.mark.parametrize("name", ["deberta-v3", "llama", "modernbert", "t5"])
def test_relative_and_rotary_positions_have_no_end(name: str) -> None:
    model = model_of(name)
    assert most_positions(model) is None
    read(model, 100)


def test_what_tokenizer_and_model_say_limits_what_is_read() -> None:
    def of(name: str, said: int) -> int | None:
        return longest_input(model_of(name), SimpleNamespace(model_max_length=said))

    assert of("roberta", 64) == 64
    assert of("roberta", 10**30) == 69
    assert of("llama", 10**30) == 64
