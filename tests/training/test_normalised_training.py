"""``finetune.normalisation``: from parameters to a checkpoint that reads what was meant."""

from __future__ import annotations

import pytest
from objective_runs import run

from pipeline_steps.errors import ConfigurationError
from pipeline_steps.inference.normalising.normaliser import FILE, load_normaliser
from pipeline_steps.inference.predictor import Predictor
from pipeline_steps.noise.resources import CONFUSABLES
from pipeline_steps.normalisation_params import NormalisationParams
from pipeline_steps.params import parse_params
from pipeline_steps.presets import PRESETS
from pipeline_steps.training.normalising import tokenizer_for

SOURCES = {"ingest": {"sources": [{"path": "a.csv"}]}}
CLEAN = ["the card was good", "a bad card"]
DAMAGED = ["the crad was goood", "a b\u0430d car\u200bd"]


@pytest.fixture(scope="module")
def checkpoint(base, data, tmp_path_factory):
    asked = {"normalisation": {}, "augmentation": {"edits": 0.5, "typos": 0.0}}
    return run(base, data, tmp_path_factory.mktemp("normalised"), **asked)


def test_a_checkpoint_reads_misspelt_rows_as_the_rows_that_were_meant(checkpoint) -> None:
    predictor = Predictor.from_checkpoint(checkpoint.path)
    assert predictor.encode(DAMAGED).token_ids == predictor.encode(CLEAN).token_ids
    answers = predictor.answer([{"text": text} for text in DAMAGED])
    assert answers == predictor.answer([{"text": text} for text in CLEAN])


def test_the_checkpoint_says_what_its_texts_go_through(checkpoint) -> None:
    normaliser = load_normaliser(checkpoint.path)
    assert normaliser is not None
    noted = checkpoint.training["normaliser"]
    assert noted == {"digest": normaliser.digest, "n_words": len(normaliser.weights)}


def test_words_are_counted_in_the_training_rows_alone(base, data, tmp_path) -> None:
    made = run(base, data, tmp_path, normalisation={"base_weight": 0.0, "confusables": False})
    normaliser = load_normaliser(made.path)
    assert normaliser is not None
    rows = _texts(data["text_classification"][0].path)
    assert set(normaliser.weights) == {word for text in rows for word in text.lower().split()}
    assert not normaliser.folds


def test_without_it_a_checkpoint_has_none(base, data, tmp_path) -> None:
    made = run(base, data, tmp_path)
    assert not (made.path / FILE).exists()
    assert "normaliser" not in made.training


def test_several_runs_and_further_training_keep_the_normaliser(
    base, data, checkpoint, tmp_path
) -> None:
    soup = {"n_runs": 2, "combine": "uniform_soup"}
    mixed = run(base, data, tmp_path / "soup", normalisation={}, **soup)
    further = run(checkpoint.path, data, tmp_path / "further")
    expected = load_normaliser(checkpoint.path)
    assert load_normaliser(mixed.path) == expected
    assert load_normaliser(further.path) == expected


@pytest.mark.parametrize("problem", ["ner", "question_answering", "relation_extraction"])
def test_problems_whose_answers_stand_at_places_of_the_text_refuse_it(problem: str) -> None:
    asked = {"problem": problem, **SOURCES, "finetune": {"normalisation": {}}}
    with pytest.raises(ConfigurationError, match=r"finetune\.normalisation: it draws words"):
        parse_params(asked, source="params.yaml")


@pytest.mark.parametrize("problem", ["text_classification", "multi_label_classification"])
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_made_of_parameters(name: str, problem: str) -> None:
    params = parse_params({"problem": problem, **SOURCES, **PRESETS[name]}, source="the preset")
    assert params.finetune.normalisation == NormalisationParams()


def test_confusables_need_their_package(base, data, monkeypatch) -> None:
    from types import SimpleNamespace

    from objective_runs import params

    from pipeline_steps.errors import MissingDependencyError

    monkeypatch.setattr(type(CONFUSABLES), "is_here", lambda _: False)
    inputs = SimpleNamespace(
        base=SimpleNamespace(path=base),
        train=data["text_classification"][0],
        params=params(base, normalisation={}),
    )
    with pytest.raises(MissingDependencyError, match="confusable-homoglyphs"):
        tokenizer_for(inputs)  # type: ignore[arg-type]


def _texts(path) -> list[str]:
    from pipeline_steps.inference.examples_file import read_examples

    return read_examples(path).texts
