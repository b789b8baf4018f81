"""What acts through hooks: where it stands, what it leaves alone, what the reference says."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    GPT2LMHeadModel,
)
from tuned_models import (
    ARCHITECTURES,
    ENCODERS,
    LABELS,
    METHODS,
    REFUSED,
    ROWS,
    TARGETS,
    logits,
    train,
    with_head,
)

from pipeline_steps.errors import TrainingError
from pipeline_steps.inference.embedding_digests import EmbeddingDigests
from pipeline_steps.inference.forward import pad
from pipeline_steps.inference.predictor import Predictor
from pipeline_steps.inference.tokenization import load_tokenizer
from pipeline_steps.inference.unmerged.storage import load_model
from pipeline_steps.training.tuning.adapters import houlsby
from pipeline_steps.training.tuning.prompts import PrefixTuning, PromptTuning

HOOKED = ("houlsby", "pfeiffer", "prompt", "prefix")


def tuned(bases, method: str, architecture: str = "bert"):
    model, head = with_head(bases[architecture])
    return METHODS[method].apply(model, head).eval()


@pytest.mark.parametrize("method", HOOKED)
def test_padding_changes_nothing(method, bases) -> None:
    """A row alone and the same row padded in a batch give the same logits."""
    model = tuned(bases, method)
    train(model)
    alone = torch.cat([logits(model, [row]) for row in ROWS])
    torch.testing.assert_close(logits(model), alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture", [*ENCODERS, "gpt2", "llama"])
def test_embeddings_in_place_of_ids_are_prompted_too(architecture, bases) -> None:
    """Objectives that perturb embeddings hand them to the model themselves."""
    model = tuned(bases, "prompt", architecture)
    row = torch.tensor(ROWS[:1])
    embedded = model.get_input_embeddings()(row)
    with torch.no_grad():
        from_ids = model(input_ids=row, attention_mask=torch.ones_like(row)).logits
        from_vectors = model(inputs_embeds=embedded, attention_mask=torch.ones_like(row)).logits
    torch.testing.assert_close(from_vectors, from_ids, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", HOOKED)
def test_a_copy_of_the_model_uses_its_own_vectors(method, bases) -> None:
    """A teacher or a reference model is made by a deep copy before training."""
    model = tuned(bases, method)
    twin, before = copy.deepcopy(model), logits(model)
    train(model)
    torch.testing.assert_close(logits(twin), before)
    assert (logits(model) - before).abs().max() > 0.05


def test_a_model_is_adapted_once(bases) -> None:
    """Its hooks would act twice."""
    model, head = with_head(bases["bert"])
    METHODS["houlsby"].apply(model, head)
    with pytest.raises(TrainingError, match="carries an adapter already"):
        METHODS["prompt"].apply(model, head)


def test_adapters_start_near_the_identity(bases) -> None:
    model, head = with_head(bases["bert"])
    before = logits(model)
    adapted = logits(houlsby(64).apply(model, head))
    assert 0 < (adapted - before).abs().max() < 0.01


def test_an_adapter_stands_before_the_residual(bases) -> None:
    """An adapter of constant output leaves the residual in: the sub-layer's own part is replaced
    by it, the input of the sub-layer is still added."""
    model, head = with_head(bases["bert"])
    houlsby(4).apply(model, head)
    layer = model.bert.encoder.layer[0].eval()
    adapter = layer.output.dense.bottleneck_adapter
    with torch.no_grad():
        adapter.up.weight.zero_()
        adapter.up.bias.fill_(0.5)
        inner, residual = torch.randn(1, 3, 32), torch.randn(1, 3, 16)
        found = layer.output(inner, residual)
        plain = torch.nn.functional.linear(
            inner, layer.output.dense.weight, layer.output.dense.bias
        )
    torch.testing.assert_close(found, layer.output.LayerNorm(plain + 0.5 + residual))


@pytest.mark.parametrize("architecture", ENCODERS)
def test_a_prompt_serves_token_tasks(architecture, bases) -> None:
    """The logits are those of the text's tokens, and no more."""
    torch.manual_seed(0)
    model = AutoModelForTokenClassification.from_pretrained(
        bases[architecture], num_labels=2, dtype=torch.float32
    )
    before = model.eval()(**pad(ROWS, 0)).logits
    tuned_ = PromptTuning(5).apply(model, ["classifier.weight", "classifier.bias"]).eval()
    with torch.no_grad():
        tuned_.base_model.soft_prompt.vectors.normal_()
        after = tuned_(**pad(ROWS, 0)).logits
    assert after.shape == before.shape == (4, 6, 2)
    assert (after - before).abs().max() > 1e-3


def test_a_prompt_in_a_causal_model_is_that_of_peft(bases) -> None:
    from peft import PromptTuningConfig, get_peft_model

    def language_model() -> GPT2LMHeadModel:
        return AutoModelForCausalLM.from_pretrained(bases["gpt2"], dtype=torch.float32).eval()

    config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5)
    reference = get_peft_model(language_model(), config).eval()
    ours = PromptTuning(5).apply(language_model(), []).eval()
    inputs = pad(ROWS, 0)
    with torch.no_grad():
        ours.transformer.soft_prompt.vectors.copy_(
            reference.prompt_encoder["default"].embedding.weight
        )
        expected = reference(**inputs).logits[:, 5:]
        torch.testing.assert_close(ours(**inputs).logits, expected, rtol=1e-4, atol=1e-5)


def test_a_prefix_is_that_of_peft(bases) -> None:
    from peft import PrefixTuningConfig, get_peft_model

    model, head = with_head(bases["bert"])
    twin, _ = with_head(bases["bert"])
    reference = get_peft_model(
        twin, PrefixTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=5)
    ).eval()
    ours = PrefixTuning(5).apply(model, head).eval()
    table = reference.prompt_encoder["default"].embedding.weight  # (tokens, 2 * layers * width)
    with torch.no_grad():
        ours.bert.soft_prompt.vectors.copy_(table.view(5, 4, 2, 8).permute(1, 2, 0, 3))
        expected = reference(**pad(ROWS, 0)).logits
    torch.testing.assert_close(logits(ours), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", ["prompt", "prefix"])
@pytest.mark.parametrize(("architecture", "longest"), [("bert", 59), ("roberta", 63)])
def test_a_text_too_long_for_what_stands_before_it_is_refused(
    method, architecture, longest, bases
) -> None:
    """RoBERTa of 70 positions keeps two for itself; here padding is 0, so one."""
    model = tuned(bases, method, architecture)
    logits(model, [[2] + [7] * (longest - 1)])
    with pytest.raises(TrainingError, match=r"tokens and 5 learnt ones before it"):
        logits(model, [[2] + [7] * 80])


def test_a_prefix_that_checkpointing_would_drop_is_refused(bases) -> None:
    model = tuned(bases, "prefix")
    model.activation_checkpointing_enable()
    model.train()
    with pytest.raises(TrainingError, match="gradient checkpointing drops the past keys"):
        model(**pad(ROWS, 0))


@pytest.mark.parametrize("method", HOOKED)
def test_gradients_flow_under_bf16_autocast(method, bases) -> None:
    model = tuned(bases, method).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = model(**pad(ROWS, 0)).logits
        loss = torch.nn.functional.cross_entropy(outputs.float(), torch.tensor(TARGETS))
    loss.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("method", ["houlsby", "prompt"])
def test_a_predictor_answers_from_such_a_checkpoint(method, bases, tmp_path) -> None:
    """The tokenizer stands at the top, where programs look for it."""
    model, head = with_head(bases["bert"])
    tuned_ = METHODS[method].apply(model, head)
    train(tuned_)
    METHODS[method].finish(tuned_).save_pretrained(tmp_path)
    load_tokenizer(bases["bert"]).save_pretrained(tmp_path)
    predictor = Predictor(
        load_model(tmp_path, AutoModelForSequenceClassification), load_tokenizer(tmp_path), LABELS,
        max_length=32, batch_tokens=128, precision="fp32",
    )  # fmt: skip
    texts = ["the film was good", "my card"]
    rows = predictor.encode(texts).token_ids
    torch.testing.assert_close(
        torch.from_numpy(predictor.logits(texts)), logits(tuned_, rows), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    ("method", "architecture"),
    [pair for pair in itertools.product(("full", *HOOKED), ARCHITECTURES) if pair not in REFUSED],
)
def test_rows_have_digests_of_their_embeddings_but_behind_a_prompt(
    method, architecture, bases
) -> None:
    """A prompt stands where the ids were, so rows cannot be told apart by them."""
    model = tuned(bases, method, architecture)
    digests = EmbeddingDigests(model)
    logits(model)
    expected = 0 if method == "prompt" else len({tuple(row) for row in ROWS})
    assert len(set(digests.take(ROWS)) - {None}) == expected
