"""Teachers and old models of problems that write, through fine-tuning; reading before it."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from builders import structured_examples, write_examples
from safetensors.torch import load_file
from tiny_models import WORDS, with_other_words
from tiny_writers import save_tiny_writer

from pipeline_steps.digests import file_digest
from pipeline_steps.errors import ConfigurationError, TrainingError
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.generation_params import GenerationParams
from pipeline_steps.inference.examples_file import read_examples
from pipeline_steps.inference.learners.catalog import get_learner
from pipeline_steps.inference.predictor import Predictor
from pipeline_steps.objective_params import EwcParams
from pipeline_steps.params import parse_params
from pipeline_steps.training.consolidation import consolidated
from pipeline_steps.training.finetune import finetune
from pipeline_steps.training.plain_texts import read_plain_texts
from pipeline_steps.training.teaching import load_old_models
from pipeline_steps.types import Checkpoint, DatasetRef

PROBLEM = "translation"
ARCHITECTURES = ("t5", "gpt2")
GENERATION = {"max_new_tokens": 5, "validation_rows": 4}


def dataset(path: Path, n: int) -> DatasetRef:
    write_examples(path, structured_examples(PROBLEM, n))
    digest = file_digest(path, "md5")
    return DatasetRef(name=path.stem, split=path.stem, path=path, digest=digest, n_examples=n)


def params(base: Path, **settings: Any) -> FinetuneParams:
    return FinetuneParams.model_validate(
        {"base_model": str(base), "precision": "fp32", "max_length": 32, "epochs": 2,
         "early_stopping_metric": "loss", "learning_rate": 1e-2, "batch_tokens": 256,
         "generation": GENERATION, **settings}
    )  # fmt: skip


def trained(base: Path, root: Path, problem: str = PROBLEM, **settings: Any) -> Checkpoint:
    root.mkdir(exist_ok=True)
    data = [dataset(root / f"{name}.parquet", n) for name, n in (("train", 24), ("valid", 6))]
    asked = params(base, **settings)
    return finetune(*data, asked, root / "out", work=root / "work", problem=problem)


@pytest.fixture(scope="module")
def bases(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("bases")
    return {a: save_tiny_writer(root / a, a, words=WORDS) for a in (*ARCHITECTURES, "llama")}


@pytest.fixture(scope="module")
def old(bases, tmp_path_factory) -> dict[str, Checkpoint]:
    root = tmp_path_factory.mktemp("old")
    return {a: trained(bases[a], root / a, seed=7, epochs=3) for a in ARCHITECTURES}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_all_that_asks_an_old_model_trains_a_model_that_writes(
    architecture, bases, old, tmp_path
) -> None:
    path, examples = str(old[architecture].path), str(dataset(tmp_path / "rows.parquet", 8).path)
    asked = {
        "distillation": {"teachers": [path, path]},
        "hidden": {"teacher": path},
        "lwf": {"checkpoint": path},
        "ewc": {"checkpoint": path, "examples": examples, "n_rows": 3, "weight": 100.0},
        "replay": {"examples": examples, "share": 0.2},
    }
    found = trained(bases[architecture], tmp_path / "all", objective=asked)
    point = found.training["history"][-1]
    parts = {key: value for key, value in point.items() if key.startswith("train_")}
    kinds = ("Distillation", "HiddenDistillation", "EWC", "LwF")
    assert set(parts) == {f"train_{kind}" for kind in kinds}
    assert all(math.isfinite(value) and value > 0 for value in parts.values())
    assert (
        load_file(found.path / "model.safetensors").keys()
        == load_file(bases[architecture] / "model.safetensors").keys()
    )


def test_a_student_at_full_weight_writes_more_like_its_teacher(bases, tmp_path) -> None:
    teacher = trained(bases["gpt2"], tmp_path / "teacher", epochs=6)
    settings = {"epochs": 3, "early_stopping_patience": None}
    asked = {"distillation": {"teachers": [str(teacher.path)], "weight": 1.0}}
    rows = read_examples(dataset(tmp_path / "rows.parquet", 8).path)

    def distance(objective: dict[str, Any], root: Path) -> float:
        student = trained(bases["gpt2"], root, objective=objective, **settings)
        return divergence(teacher, student, rows)

    assert distance(asked, tmp_path / "a") < distance({}, tmp_path / "b")


def divergence(one: Checkpoint, other: Checkpoint, rows: Any) -> float:
    """Return KL(one || other) over the tokens of the rows' answers."""
    first, second = (Predictor.from_checkpoint(c.path) for c in (one, other))
    learner = first.learner
    encoded = learner.encode(first.tokenizer, rows, 32, 8)
    targets = learner.targets(encoded, rows, ())
    total = 0.0
    for ids, target in zip(encoded.token_ids, targets, strict=True):
        labels = learner.as_tensor([target])
        inputs = {"input_ids": torch.tensor([ids]), **learner.more_inputs(labels, 0)}
        with torch.no_grad():
            mine, theirs = (p.model(**inputs) for p in (second, first))
        total += float(learner.divergence(mine, theirs, labels, 1))
    return total


def test_the_penalty_on_leaving_an_old_model_by_hand(old, tmp_path) -> None:
    """Half the weight, times its Fisher information, times the square of how far it went."""
    checkpoint = old["gpt2"]
    rows = dataset(tmp_path / "rows.parquet", 3)
    asked = EwcParams(checkpoint=str(checkpoint.path), examples=str(rows.path), weight=4.0)
    learner = get_learner(PROBLEM, generation=GenerationParams(**GENERATION), path=checkpoint.path)
    settings = params(checkpoint.path, objective={"ewc": asked.model_dump()})
    device = torch.device("cpu")
    (model,) = load_old_models(settings, PROBLEM, learner, device).values()
    other, _ = learner.build(checkpoint.path, ())
    made = consolidated(asked, model, other, work=tmp_path, pad_id=0, seed=0)
    name = "transformer.h.0.attn.c_attn.weight"
    squares = torch.zeros_like(made.fisher[name])
    examples = read_examples(rows.path)
    encoded = learner.encode(model.tokenizer, examples, 32, 8)
    weight = dict(other.named_parameters())[name]
    for ids, target in zip(encoded.token_ids, learner.targets(encoded, examples, ()), strict=True):
        logits = other.eval()(torch.tensor([ids])).logits[0].log_softmax(-1)
        said = sum(logits[i, token] for i, token in enumerate(target) if token >= 0)
        squares += torch.autograd.grad(said, weight)[0] ** 2 / 3
    torch.testing.assert_close(made.fisher[name], squares, rtol=1e-3, atol=1e-6)
    with torch.no_grad():
        weight += 0.5
    expected = 4.0 / 2 * float((squares * 0.25).sum())
    step = type("Batch", (), {"model": other, "n_batches": 1})()
    assert made(step).item() == pytest.approx(expected, rel=1e-3)


def test_teachers_that_write_otherwise_are_refused_all_at_once(bases, old, tmp_path) -> None:
    other_words = trained(with_other_words(bases["t5"], tmp_path / "words"), tmp_path / "a")
    prefixed = trained(bases["t5"], tmp_path / "b", generation={**GENERATION, "prefix": "the "})
    wide = tmp_path / "wide"
    save_tiny_writer(wide, "t5", words=[*WORDS, "more"])
    shutil.copy(bases["t5"] / "tokenizer.json", wide)
    wider = trained(wide, tmp_path / "c")
    teachers = [str(c.path) for c in (other_words, prefixed, wider, old["gpt2"])]
    with pytest.raises(TrainingError, match="texts that are read and written alike") as caught:
        trained(bases["t5"], tmp_path / "no", objective={"distillation": {"teachers": teachers}})
    said = caught.value.received
    assert "teachers.0: the tokenizer of" in said
    assert "teachers.1: " in said
    assert "was asked with the prefix 'the '" in said
    assert "chooses among 33 tokens, and the base among 32" in said
    assert "teachers.3: the tokenizer of" in said  # its texts have no end token


def test_a_decoder_alone_cannot_teach_an_encoder_decoder(bases, old, tmp_path) -> None:
    shutil.copytree(bases["gpt2"], tmp_path / "base")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(bases["t5"] / name, tmp_path / "base")
    teacher = trained(tmp_path / "base", tmp_path / "teacher")
    asked = {"hidden": {"teacher": str(teacher.path)}}
    with pytest.raises(TrainingError, match="is a decoder alone, and the base an encoder-decoder"):
        trained(bases["t5"], tmp_path / "no", objective=asked)


def test_a_decoder_reads_and_then_learns_to_write(bases, tmp_path) -> None:
    """Its matrix over the vocabulary, which is no new head here, has read with the body."""
    reading = {"kind": "clm", "epochs": 2, "learning_rate": 1e-2}
    plain = trained(bases["llama"], tmp_path / "a", learning_rate=1e-12)
    read = trained(bases["llama"], tmp_path / "b", learning_rate=1e-12, pretraining=reading)
    before, after = (load_file(c.path / "model.safetensors") for c in (plain, read))
    assert before.keys() == after.keys()
    for name in ("lm_head.weight", "model.layers.0.self_attn.q_proj.weight"):
        assert not torch.allclose(before[name], after[name], atol=1e-4)
    losses = [c.training["history"][-1]["loss"] for c in (plain, read)]
    assert losses[1] < losses[0]


def test_texts_that_are_written_are_read_too(tmp_path) -> None:
    rows = [{"text": "one", "target": json.dumps({"references": ["two", "three"]})}]
    assert read_plain_texts(write_examples(tmp_path / "rows.parquet", rows)) == [
        "one", "two", "three",
    ]  # fmt: skip


def test_hiding_tokens_from_a_model_that_writes_is_refused() -> None:
    values = {"problem": PROBLEM, "ingest": {"sources": [{"path": "a.jsonl"}]}}
    with pytest.raises(ConfigurationError, match=r"kind: mlm hides tokens .* set it to clm"):
        parse_params({**values, "finetune": {"pretraining": {}}}, source="here")


def test_an_encoder_decoder_is_not_asked_for_the_next_token(bases, tmp_path) -> None:
    with pytest.raises(TrainingError, match="t5 reads in both directions"):
        trained(bases["t5"], tmp_path / "no", pretraining={"kind": "clm"})
