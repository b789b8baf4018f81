"""Zero- and few-shot prompts: scores by hand, calibration, checkpoints that answer as validated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders import write_examples
from tiny_models import save_tiny_model, save_tokenizer
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    RobertaConfig,
    RobertaForMaskedLM,
)

from pipeline_steps.digests import file_digest
from pipeline_steps.errors import CheckpointError, TrainingError
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.inference.examples_file import read_examples
from pipeline_steps.inference.predictor import Predictor
from pipeline_steps.training.finetune import finetune
from pipeline_steps.training.prompting import prompted_classifier
from pipeline_steps.tuning_params import InContextTuning
from pipeline_steps.types import Checkpoint, DatasetRef

_SIZES = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
          "intermediate_size": 64, "max_position_embeddings": 64, "pad_token_id": 0}  # fmt: skip
MODELS: dict[str, Callable[[], Any]] = {
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=32, n_layer=2, n_head=2,
                                               n_positions=64, bos_token_id=2, eos_token_id=3)),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**_SIZES, bos_token_id=2, eos_token_id=3)),
    "bert": lambda: BertForMaskedLM(BertConfig(**_SIZES)),
    "roberta": lambda: RobertaForMaskedLM(RobertaConfig(**{**_SIZES, "max_position_embeddings": 66,
                                                           "pad_token_id": 0})),
}  # fmt: skip
CAUSAL = ("gpt2", "llama")
TEMPLATE = "{text} it is {label}"
LABELS = ("minus", "plus")
WORDS = {"minus": "bad", "plus": "good"}
NAMES = {"bad": "minus", "good": "plus"}


def save_language_model(path: Path, name: str, *, steps: int = 0) -> Path:
    """Return a language model's directory, trained to say "it is" and what stood in the text."""
    torch.manual_seed(0)
    model = MODELS[name]()
    save_tokenizer(path)
    tokenizer = AutoTokenizer.from_pretrained(path)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    generator = np.random.default_rng(0)
    for _ in range(steps):
        texts = [sentence(generator, word) for word in generator.choice(["good", "bad"], 32)]
        inputs = tokenizer(
            [f"{t} it is {said(t)}" for t in texts], padding=True, return_tensors="pt"
        )
        ids = inputs["input_ids"]
        # The word before the final separator is all that is asked.
        rows, last = torch.arange(len(ids)), inputs["attention_mask"].sum(dim=1) - 2
        labels = torch.full_like(ids, -100)
        labels[rows, last] = ids[rows, last]
        if name not in CAUSAL:
            ids = ids.clone()
            ids[rows, last] = tokenizer.mask_token_id
        model(input_ids=ids, attention_mask=inputs["attention_mask"], labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(path)
    return path


def sentence(generator: np.random.Generator, word: str) -> str:
    words = generator.choice(["film", "the", "was", "card", "my", "very"], 5).tolist()
    words.insert(int(generator.integers(6)), word)
    return " ".join(words)


def said(text: str) -> str:
    return "good" if "good" in text else "bad"


def dataset(path: Path, rows: list[dict[str, Any]]) -> DatasetRef:
    write_examples(path, rows)
    return DatasetRef(
        name=path.stem, split="train", path=path, digest=file_digest(path), n_examples=len(rows)
    )


def examples(path: Path, n: int, seed: int) -> DatasetRef:
    generator = np.random.default_rng(seed)
    texts = [sentence(generator, ("good", "bad")[i % 2]) for i in range(n)]
    return dataset(path, [{"text": t, "label": NAMES[said(t)]} for t in texts])


def run(base: Path, root: Path, **settings: Any) -> Checkpoint:
    data = [examples(root / f"{name}.parquet", 40, seed) for seed, name in enumerate("ab")]
    tuning = {"kind": "in_context", "template": TEMPLATE, "label_words": WORDS, **settings}
    params = FinetuneParams(base_model=str(base), precision="fp32", tuning=tuning)
    return finetune(*data, params, root / "out", work=root / "work")


def classifier(base: Path, root: Path, **settings: Any) -> Any:
    examples(root / "rows.parquet", 12, 0)
    tuning = InContextTuning(
        kind="in_context", **{"template": TEMPLATE, "label_words": WORDS, **settings}
    )
    tokenizer = AutoTokenizer.from_pretrained(base)
    rows = read_examples(root / "rows.parquet")
    return prompted_classifier(base, tokenizer, rows, LABELS, tuning, 0), tokenizer


def logits(found: Any, tokenizer: Any, texts: list[str]) -> torch.Tensor:
    inputs = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        return found(inputs["input_ids"], inputs["attention_mask"]).logits


@pytest.mark.parametrize(
    "objective",
    [
        lambda path, rows: {"hidden": {"teacher": path}},
        lambda path, rows: {"lwf": {"checkpoint": path}},
        lambda path, rows: {"ewc": {"checkpoint": path, "examples": rows}},
    ],
)
def test_a_prompted_model_is_a_teacher_of_answers_alone(tmp_path: Path, objective: Any) -> None:
    asked = run(save_language_model(tmp_path / "lm", "bert"), tmp_path / "asked")
    rows = [examples(tmp_path / f"{name}.parquet", 40, seed) for seed, name in enumerate("ab")]
    params = FinetuneParams(
        base_model=str(save_tiny_model(tmp_path / "base")), precision="fp32", epochs=1,
        objective=objective(str(asked.path), str(rows[0].path)),
    )  # fmt: skip
    with pytest.raises(TrainingError, match=r"was made by in_context.*teacher of objective\.dist"):
        finetune(*rows, params, tmp_path / "out", work=tmp_path / "work")


def test_words_for_a_label_that_no_row_has_are_refused(tmp_path: Path) -> None:
    base = save_language_model(tmp_path / "base", "gpt2")
    with pytest.raises(TrainingError, match=r"words for pluss, which no row has[\s\S]*minus, plus"):
        run(base, tmp_path, label_words={**WORDS, "pluss": "fine"})


def test_a_causal_models_score_is_the_log_likelihood_of_the_labels_tokens(tmp_path: Path) -> None:
    base = save_language_model(tmp_path / "base", "gpt2")
    words = {"minus": "very bad", "plus": "good"}
    found, tokenizer = classifier(base, tmp_path, calibrated=False, label_words=words, score="sum")
    model = GPT2LMHeadModel.from_pretrained(base).eval()
    scores = logits(found, tokenizer, ["my film"])[0]
    start = tokenizer("my film it is")["input_ids"][:-1]  # without the separator behind a text
    for label, word in enumerate(words.values()):
        tokens = tokenizer(word, add_special_tokens=False)["input_ids"]
        log_p = model(torch.tensor([start + tokens])).logits[0].detach().log_softmax(-1)
        by_hand = sum(float(log_p[len(start) - 1 + i, token]) for i, token in enumerate(tokens))
        assert float(scores[label]) == pytest.approx(by_hand, abs=1e-5)


def test_a_masked_models_score_is_the_log_likelihood_at_its_masks(tmp_path: Path) -> None:
    base = save_language_model(tmp_path / "base", "bert")
    words = {"minus": "very bad", "plus": "good"}
    found, tokenizer = classifier(base, tmp_path, calibrated=False, label_words=words)
    model = BertForMaskedLM.from_pretrained(base).eval()
    scores = logits(found, tokenizer, ["my film"])[0]
    for label, (word, masks) in enumerate([("very bad", "[MASK] [MASK]"), ("good", "[MASK]")]):
        inputs = tokenizer(f"my film it is {masks}", return_tensors="pt")
        log_p = model(**inputs).logits[0].detach().log_softmax(-1)
        tokens = tokenizer(word, add_special_tokens=False)["input_ids"]
        by_hand = np.mean([float(log_p[5 + i, token]) for i, token in enumerate(tokens)])
        assert float(scores[label]) == pytest.approx(by_hand, abs=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_scores_do_not_depend_on_the_batch(tmp_path: Path, name: str) -> None:
    found, tokenizer = classifier(save_language_model(tmp_path / "base", name), tmp_path)
    texts = ["my film", "the card was very bad and the film was good", "a"]
    together = logits(found, tokenizer, texts)
    alone = torch.cat([logits(found, tokenizer, [text]) for text in texts])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_after_calibration_a_text_without_content_favours_no_label(tmp_path: Path) -> None:
    base = save_language_model(tmp_path / "base", "bert", steps=20)
    plain, tokenizer = classifier(base, tmp_path, calibrated=False)
    found, _ = classifier(base, tmp_path)
    contentless = [
        logits(plain, tokenizer, [text]).softmax(-1)[0] for text in ("N/A", "", "[MASK]")
    ]
    mean = torch.stack(contentless).mean(dim=0)
    torch.testing.assert_close(torch.tensor(found.prompt.bias), mean.log(), atol=1e-5, rtol=0)
    shifted = logits(plain, tokenizer, ["my film"]) - logits(found, tokenizer, ["my film"])
    torch.testing.assert_close(shifted[0], mean.log(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["gpt2", "bert"])
def test_a_model_that_knows_the_answer_is_right_and_its_checkpoint_answers_as_validated(
    tmp_path: Path, name: str
) -> None:
    base = save_language_model(tmp_path / "base", name, steps=120)
    checkpoint = run(base, tmp_path, calibrated=False)
    [validated] = checkpoint.training["history"]
    assert validated["accuracy"] > 0.9
    predictor = Predictor.from_checkpoint(checkpoint.path)
    table = predictor.table(read_examples(tmp_path / "b.parquet"))
    assert np.mean(table.predicted == table.truth) == pytest.approx(validated["accuracy"])
    assert predictor.answer([{"text": "the film was good"}])[0]["label"] == "plus"
    assert run(base, tmp_path, calibrated=False).digest == checkpoint.digest


def test_as_many_rows_of_each_label_are_shown_and_the_seed_draws_them(tmp_path: Path) -> None:
    base = save_language_model(tmp_path / "base", "gpt2")
    found, tokenizer = classifier(base, tmp_path, shots=2, min_text_tokens=1, separator=" and ")
    text = tokenizer.decode(found.prompt.before)
    assert text.count("it is good and") == text.count("it is bad and") == 2
    again, _ = classifier(base, tmp_path, shots=2, min_text_tokens=1, separator=" and ")
    assert again.prompt == found.prompt


def test_a_text_is_cut_to_the_room_that_the_prompt_leaves(tmp_path: Path) -> None:
    base = save_language_model(tmp_path / "base", "bert")
    found, tokenizer = classifier(base, tmp_path, instruction="the card is bad")
    long = " ".join(["film"] * found.prompt.room)
    scores = logits(found, tokenizer, [long, f"{long} good good"])
    torch.testing.assert_close(scores[0], scores[1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shots": 4}, r"the prompt leaves -?\d+ of 64 tokens"),
        ({"label_words": {"plus": "good", "minus": "good"}}, "the same tokens, or none"),
        ({"template": "{text}{label}"}, "nothing before the label but the text"),
    ],
)
def test_a_prompt_that_cannot_work_is_refused(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    base = save_language_model(tmp_path / "base", "gpt2")
    if "template" in settings:
        tokenizer = AutoTokenizer.from_pretrained(base)
        tokenizer._tokenizer.post_processor = None
        tokenizer.save_pretrained(base)
    with pytest.raises(TrainingError, match=message):
        classifier(base, tmp_path, **settings)


def test_a_model_without_an_output_layer_is_refused(tmp_path: Path) -> None:
    base = save_tiny_model(tmp_path / "base")
    with pytest.raises(TrainingError, match=r"BertModel\n.*a language model with its output layer"):
        run(base, tmp_path)


def test_an_output_layer_that_would_be_random_is_refused(tmp_path: Path) -> None:
    base = save_tiny_model(tmp_path / "base")
    config = base / "config.json"
    config.write_text(config.read_text().replace('"BertModel"', '"BertForMaskedLM"'))
    with pytest.raises(CheckpointError, match="they would be random"):
        run(base, tmp_path)


def test_other_problems_and_pairs_of_texts_are_refused(tmp_path: Path) -> None:
    base = save_language_model(tmp_path / "base", "gpt2")
    data = examples(tmp_path / "a.parquet", 8, 0)
    params = FinetuneParams(base_model=str(base), tuning={"kind": "in_context"})
    with pytest.raises(TrainingError, match="in_context, and the problem ner"):
        finetune(data, data, params, tmp_path / "out", work=tmp_path / "work", problem="ner")
    rows = [{"text": "a", "text_pair": "b", "label": label} for label in LABELS * 4]
    pairs = dataset(tmp_path / "pairs.parquet", rows)
    with pytest.raises(TrainingError, match="pairs of texts"):
        finetune(pairs, pairs, params, tmp_path / "out", work=tmp_path / "work")
