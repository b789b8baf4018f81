"""Four bits: what is held in them, and that nothing learnt is lost on the way back."""

from __future__ import annotations

import pytest
import torch
from tiny_models import configurations
from tiny_writers import CONFIGURATIONS
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from pipeline_steps.errors import TrainingError
from pipeline_steps.training.tuning.low_rank import LowRank
from pipeline_steps.training.tuning.quantized import QuantizedLowRank, in_four_bits

IDS = torch.tensor([[2, 7, 9, 3]])


@pytest.fixture(autouse=True)
def bitsandbytes():
    return pytest.importorskip("bitsandbytes", reason="four bits are optional")


def tuned(model, head: list[str], targets: tuple[str, ...] | None = None):
    """Return a model in four bits whose adapters are no longer the identity."""
    torch.manual_seed(0)
    quantized = in_four_bits(model, ["classifier"]).to("cpu")
    quantized.is_loaded_in_4bit = True
    adapted = LowRank(rank=2, target_modules=targets).apply(quantized, head).eval()
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(0.0, 0.1)
    return adapted


def test_what_was_learnt_over_four_bits_is_folded_in() -> None:
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(configurations()["bert"])
    adapted = tuned(model, ["classifier.weight", "classifier.bias"])
    before = adapted(IDS).logits.detach()
    plain = QuantizedLowRank().finish(adapted)
    assert {type(m) for m in plain.modules() if "Linear" in type(m).__name__} == {torch.nn.Linear}
    torch.testing.assert_close(plain(IDS).logits, before, atol=2e-2, rtol=0.0)


def test_an_update_beside_the_four_bits_is_folded_in_too() -> None:
    """The output matrix stays whole; adapted, it is merged as any other."""
    torch.manual_seed(0)
    config = CONFIGURATIONS["llama"](64)
    adapted = tuned(AutoModelForCausalLM.from_config(config), [], ("q_proj", "lm_head"))
    before = adapted(IDS).logits.detach()
    plain = QuantizedLowRank().finish(adapted)
    torch.testing.assert_close(plain(IDS).logits, before, atol=2e-2, rtol=0.0)


def test_tied_word_vectors_stay_one() -> None:
    config = CONFIGURATIONS["llama"](64)
    config.tie_word_embeddings = True
    plain = QuantizedLowRank().finish(tuned(AutoModelForCausalLM.from_config(config), []))
    assert plain.lm_head.weight is plain.model.embed_tokens.weight


def test_a_body_without_linear_layers_is_refused() -> None:
    model = AutoModelForCausalLM.from_config(CONFIGURATIONS["gpt2"](64))
    with pytest.raises(TrainingError, match="qlora on GPT2LMHeadModel, which has no linear layers"):
        in_four_bits(model, [])
