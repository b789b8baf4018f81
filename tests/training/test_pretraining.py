"""``finetune.pretraining``: the base reads first, goes on after a kill, keeps what it was."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from killed_training import kill_training
from objective_runs import params, run, weights
from safetensors.torch import load_file, save_file
from tiny_models import save_tiny_model, save_tokenizer
from tiny_writers import save_tiny_writer
from tuned_models import OTHERS

from pipeline_steps.errors import TrainingError
from pipeline_steps.inference.base_model import resolve_base_model
from pipeline_steps.training.further import further_digests
from pipeline_steps.training.inputs import Inputs
from pipeline_steps.training.pretraining import pretrained_directory, read_texts

READING = {"epochs": 2, "learning_rate": 1e-2}
TEXTS = "ner"  # few rows


def inputs(base: Path, data, problem: str = TEXTS, **reading) -> Inputs:
    asked = params(base, problem, pretraining={**READING, **reading})
    return Inputs(
        *data[problem], resolve_base_model(str(base)), asked, problem, further_digests(asked)
    )


def read(base: Path, data, work: Path, problem: str = TEXTS, **reading) -> Path:
    asked = inputs(base, data, problem, **reading)
    directory = pretrained_directory(asked, work)
    read_texts(asked, directory)
    return directory


def decoder(path: Path) -> Path:
    from transformers import AutoModel

    torch.manual_seed(0)
    AutoModel.from_config(OTHERS["gpt2"]).save_pretrained(path)
    save_tokenizer(path)
    return path


def test_a_base_that_has_read_leads_elsewhere_and_repeats(base, data, tmp_path) -> None:
    plain = run(base, data, tmp_path / "plain", TEXTS)
    first, second = (run(base, data, tmp_path / n, TEXTS, pretraining=READING) for n in "ab")
    assert first.digest == second.digest != plain.digest
    assert first.base_digest == plain.base_digest
    assert set(weights(first)) == set(weights(plain))
    assert not (tmp_path / "a/work").exists()


def test_whole_words_of_contexts_and_questions_are_read(base, data, tmp_path) -> None:
    problem = "question_answering"
    checkpoint = run(base, data, tmp_path, problem, pretraining={**READING, "whole_words": True})
    assert checkpoint.parameters["pretraining"]["whole_words"]


def test_reading_changes_the_body_and_leaves_what_it_does_not_use(base, data, tmp_path) -> None:
    """A masked language model has no pooler: that of the base stays."""
    before = load_file(base / "model.safetensors")
    after = load_file(read(base, data, tmp_path) / "model.safetensors")
    assert before.keys() == after.keys()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert "encoder.layer.0.output.dense.weight" in moved
    assert not any("pooler" in name for name in moved)


def test_reading_makes_no_pooler_for_a_base_without_one_and_training_does(
    base, data, tmp_path
) -> None:
    crippled = shutil.copytree(base, tmp_path / "crippled")
    kept = {n: t for n, t in load_file(base / "model.safetensors").items() if "pooler" not in n}
    save_file(kept, crippled / "model.safetensors", metadata={"format": "pt"})
    found = load_file(read(crippled, data, tmp_path) / "model.safetensors")
    assert found.keys() == kept.keys()
    trained = run(crippled, data, tmp_path / "run", pretraining=READING)
    assert "bert.pooler.dense.weight" in weights(trained)


def test_the_head_of_a_base_outlives_the_reading(base, data, tmp_path) -> None:
    old = run(base, data, tmp_path / "old", TEXTS)
    after = load_file(read(old.path, data, tmp_path) / "model.safetensors")
    assert torch.equal(after["classifier.weight"], weights(old)["classifier.weight"])
    assert not torch.equal(
        after["bert.encoder.layer.0.output.dense.weight"],
        weights(old)["bert.encoder.layer.0.output.dense.weight"],
    )


def test_a_decoder_tells_the_next_token(data, tmp_path) -> None:
    base = decoder(tmp_path / "base")
    read_once = run(base, data, tmp_path / "a", TEXTS, pretraining={**READING, "kind": "clm"})
    plain = run(base, data, tmp_path / "b", TEXTS)
    assert read_once.digest != plain.digest


def test_other_texts_are_part_of_what_decides_the_weights(base, data, tmp_path) -> None:
    texts = shutil.copyfile(data["relation_extraction"][0].path, tmp_path / "texts.parquet")
    reading = {**READING, "examples": str(texts)}
    first = run(base, data, tmp_path, TEXTS, pretraining=reading)
    assert set(first.further_digests) == {"pretraining.examples"}
    assert run(base, data, tmp_path, TEXTS, pretraining=reading) == first
    shutil.copyfile(data["question_answering"][0].path, texts)
    assert run(base, data, tmp_path, TEXTS, pretraining=reading).digest != first.digest


def test_what_is_read_is_named_by_what_decides_it(base, data, tmp_path) -> None:
    one = pretrained_directory(inputs(base, data), tmp_path)
    assert pretrained_directory(inputs(base, data), tmp_path) == one
    assert pretrained_directory(inputs(base, data, mask_share=0.3), tmp_path) != one
    assert pretrained_directory(inputs(base, data, "relation_extraction"), tmp_path) != one


@pytest.mark.slow
def test_a_reading_that_is_killed_ends_with_the_same_weights(base, data, tmp_path) -> None:
    settings = {"pretraining": {**READING, "epochs": 3}}
    straight = run(base, data, tmp_path / "straight", TEXTS, **settings)
    broken = tmp_path / "broken"
    asked = params(base, TEXTS, **settings)
    kill_training(7, data[TEXTS], asked, broken, problem=TEXTS, reading=True)
    assert list(broken.glob("work/pretrained-*-steps/checkpoint-*/optimizer.pt"))
    assert run(base, data, broken, TEXTS, **settings).digest == straight.digest


@pytest.mark.parametrize(
    ("kind", "architecture", "message"),
    [
        ("clm", "bert", r"bert reads in both directions[\s\S]*kind to mlm, or"),
        ("mlm", "gpt2", r"gpt2 cannot be asked for hidden tokens[\s\S]*kind to clm, or"),
        (
            "clm",
            "t5",
            r"t5 reads in both directions[\s\S]*to fix it: set finetune.pretraining to null",
        ),
    ],
)
def test_a_base_that_cannot_read_that_way_is_refused(
    kind, architecture, message, data, tmp_path
) -> None:
    make = {"gpt2": decoder, "bert": save_tiny_model, "t5": lambda p: save_tiny_writer(p, "t5")}
    base = make[architecture](tmp_path / "base")
    with pytest.raises(TrainingError, match=f"pretraining.kind is {kind}: {message}"):
        run(base, data, tmp_path, pretraining={"kind": kind})


def test_what_does_not_fit_the_task_is_refused_before_anything_is_read(data, tmp_path) -> None:
    base = save_tiny_model(tmp_path / "base", "modernbert")
    with pytest.raises(TrainingError, match="RDrop: the model has no dropout"):
        run(base, data, tmp_path, pretraining=READING, objective={"rdrop": {}})
    assert not list(tmp_path.glob("work/pretrained*"))
