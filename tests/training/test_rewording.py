"""Synonyms and words that come back from a pivot: what may stand in a word's place."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from builders import structured_examples
from hypothesis import given
from hypothesis import strategies as st
from objective_runs import run

from pipeline_steps.errors import TrainingError
from pipeline_steps.inference.base_model import DEFAULT_BASE_MODEL, resolve_base_model
from pipeline_steps.inference.examples_file import ExampleRows
from pipeline_steps.inference.word_neighbours import WordNeighbours
from pipeline_steps.noise.word_forms import STOP_WORDS, are_opposites, has_wordnet, same_lemma
from pipeline_steps.objective_params import AugmentationParams
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.problems.ner import tokens_and_tags
from pipeline_steps.problems.relation_extraction import spans
from pipeline_steps.training.augmentation import Augmentation
from pipeline_steps.training.rewording import Rewording, fitting, rewordings_of, swapped
from pipeline_steps.training.word_swaps import read_swaps, swaps_of

WORDS = ("good", "Film", "the", "not", "MOVIE", "very", "car", "automobile", "house", "colour")
PIVOTS = (("car", "auto"), ("automobile", "auto"), ("house", "haus"), ("film", "film"),
          ("movie", "film"))  # fmt: skip
SWAPS = swaps_of(PIVOTS)
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join)
pairs = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("xyz")), max_size=12)


def back(rate: float = 1.0) -> Rewording:
    return Rewording("back_swaps", rate, lambda word: swapped(SWAPS, word))


@given(pairs)
def test_swaps_go_both_ways_and_never_to_the_word_itself(found) -> None:
    swaps = swaps_of(found)
    for word, others in swaps.items():
        assert word not in others
        assert all(word in swaps[other] for other in others)
        assert all({p for w, p in found if w == word} & {p for w, p in found if w == other} for other in others)  # fmt: skip


@given(texts, st.integers(0, 99))
def test_a_reworded_text_has_as_many_words_in_the_same_case(text, seed) -> None:
    reworded = back()(text, seed=seed, example_id="r")
    assert len(reworded.split(" ")) == len(text.split(" "))
    for old, new in zip(text.split(" "), reworded.split(" "), strict=True):
        assert new == old or new.lower() in SWAPS[old.lower()]
        assert new.isupper() == old.isupper()
        assert new[:1].isupper() == old[:1].isupper()


@given(texts, st.integers(0, 99))
def test_rewording_depends_on_its_arguments_alone_and_rate_nought_changes_nothing(
    text, seed
) -> None:
    assert back()(text, seed=seed, example_id="r") == back()(text, seed=seed, example_id="r")
    assert back(0.0)(text, seed=seed, example_id="r") == text


@given(
    st.sampled_from(WORDS), st.lists(st.sampled_from(("bad", "goods", "great", "never", "fine")))
)
def test_what_fits_is_no_form_no_opposite_and_no_function_word(word, near) -> None:
    for new in fitting(word, near):
        assert word.lower() not in STOP_WORDS
        assert new.lower() not in STOP_WORDS
        assert not same_lemma(word, new)
        assert not are_opposites(word, new)


@pytest.fixture(scope="module")
def minilm() -> Path:
    return resolve_base_model(DEFAULT_BASE_MODEL).path


def test_synonyms_are_near_in_the_base_models_own_vectors(minilm) -> None:
    [synonyms] = rewordings_of(AugmentationParams(synonyms=1.0), minilm)
    assert synonyms.options("good") == ["excellent", "great"]  # not bad, not better
    assert synonyms.options("Film")[0] == "Movie"
    assert synonyms.options("not") == synonyms.options("Zürich") == []


def test_words_of_byte_level_tokenizers_are_those_that_begin_a_word() -> None:
    class Marked:
        def get_vocab(self):
            return {"\u0120good": 0, "\u0120great": 1, "ood": 2, "\u0120bad": 3}

    table = np.array([[1.0, 0.0], [0.9, 0.1], [1.0, 0.0], [0.0, 1.0]])
    near = WordNeighbours(Marked(), table)("good", 3)  # type: ignore[arg-type]
    assert [word for word, _ in near] == ["great", "bad"]


def test_without_a_file_british_and_american_spellings_stand_for_each_other() -> None:
    swaps = read_swaps(None)
    assert swaps["colour"] == ("color",)
    assert swaps["color"] == ("colour",)
    assert swapped(swaps, "Colour") == ["Color"]


def test_a_users_dictionary_goes_by_way_of_its_pivots(tmp_path) -> None:
    file = tmp_path / "pivots.tsv"
    file.write_text("\n".join("\t".join(pair) for pair in PIVOTS) + "\n\n", encoding="utf-8")
    assert read_swaps(str(file)) == SWAPS
    assert "house" not in SWAPS  # nothing else has its pivot


@pytest.mark.parametrize(
    ("content", "message"),
    [("car auto\n", "line 1: 'car auto'"), ("sports car\tauto\n", "line 1"),
     ("car\tauto\nhouse\thaus\n", "no two words in .* share a pivot")],
)  # fmt: skip
def test_a_dictionary_that_cannot_be_used_is_refused(tmp_path, content, message) -> None:
    file = tmp_path / "pivots.tsv"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(TrainingError, match=message):
        read_swaps(str(file))


@pytest.mark.skipif(has_wordnet(), reason="WordNet is on this machine")
def test_wordnet_is_refused_where_it_is_not(base, data, tmp_path) -> None:
    asked = {"synonyms": 0.2, "synonyms_from": "wordnet"}
    with pytest.raises(TrainingError, match=r"nltk's WordNet is not here"):
        run(base, data, tmp_path, augmentation=asked)


def read_nothing(rows: ExampleRows):
    """Return one window a row that is the row itself, so that a test can look at it."""
    return [[([], (rows.texts[i], rows.pairs[i], rows.targets[i]))] for i in range(len(rows))]


def shouting() -> Rewording:
    """Return a rewording of every word, so that what stays was left alone on purpose."""
    return Rewording("synonyms", 1.0, lambda word: [f"new{word}"])


@pytest.mark.parametrize("problem", ["ner", "relation_extraction", "question_answering"])
def test_tags_spans_and_answers_stay_with_their_words_under_rewording_and_noise(problem) -> None:
    written = structured_examples(problem, 12)
    rows = ExampleRows(
        [row["example_id"] if "example_id" in row else str(i) for i, row in enumerate(written)],
        [row["text"] for row in written],
        [row.get("text_pair") for row in written],
        [row.get("label") or "" for row in written],
        [row["target"] for row in written],
        {},
    )
    asked = AugmentationParams(probability=1.0, word_loss=0.0, word_swap=0.0, typos=0.0)
    made = Augmentation(asked, rows, get_problem(problem), read_nothing, 0, rewordings=[shouting()])
    made.set_epoch(0)
    assert len(made.changed) == len(rows)
    for row, (_, (text, pair, target)) in made.changed.items():
        ALIGNED[problem](rows, row, text, pair, target)


def ner_is_aligned(rows, row, text, pair, target) -> None:
    tokens, tags = tokens_and_tags(target)
    old_tokens, old_tags = tokens_and_tags(rows.targets[row])
    assert pair is None
    assert text == " ".join(tokens)
    assert tags == old_tags
    for token, old, tag in zip(tokens, old_tokens, tags, strict=True):
        assert (token == old) == (tag != "O" or old.isdigit())


def relation_is_aligned(rows, row, text, pair, target) -> None:
    assert pair is None
    assert text != rows.texts[row]
    for (start, end), (was, to) in zip(spans(target), spans(rows.targets[row]), strict=True):
        assert text[start:end] == rows.texts[row][was:to]


def answer_is_aligned(rows, row, text, pair, target) -> None:
    assert (text, target) == (rows.texts[row], rows.targets[row])
    assert pair != rows.pairs[row]
    for answer in json.loads(target)["answers"]:
        assert text[answer["start"] :].startswith(answer["text"])


ALIGNED = {
    "ner": ner_is_aligned,
    "relation_extraction": relation_is_aligned,
    "question_answering": answer_is_aligned,
}


@pytest.mark.parametrize("problem", ["ner", "relation_extraction", "question_answering"])
def test_every_problem_with_places_learns_from_augmented_rows(
    base, data, tmp_path, problem
) -> None:
    asked = {"word_loss": 0.0, "word_swap": 0.0, "typos": 0.2, "back_swaps": 0.5}
    first, again = (run(base, data, tmp_path / n, problem, augmentation=asked) for n in "ab")
    plain = run(base, data, tmp_path / "plain", problem)
    assert first.digest == again.digest != plain.digest
