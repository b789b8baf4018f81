"""The normaliser of a checkpoint: what it mends, what it leaves, and that it is always the same."""

from __future__ import annotations

import json
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import WORDS, save_tiny_model

from pipeline_steps.errors import CheckpointError
from pipeline_steps.evaluation.attacks.readings import slips
from pipeline_steps.inference.normalising import lexicon as lexicon_module
from pipeline_steps.inference.normalising.building import ascii_folds, build_normaliser
from pipeline_steps.inference.normalising.characters import unmasked, visible
from pipeline_steps.inference.normalising.edits import slip
from pipeline_steps.inference.normalising.lexicon import Lexicon
from pipeline_steps.inference.normalising.normaliser import FILE, Normaliser, load_normaliser
from pipeline_steps.inference.tokenization import (
    encode,
    load_tokenizer,
    save_tokenizer,
    with_normaliser,
)
from pipeline_steps.noise import perturb
from pipeline_steps.noise.letter_shapes import lookalikes
from pipeline_steps.normalisation_params import NormalisationParams

WEIGHTS = {
    "the": 90.0, "film": 40.0, "is": 50.0, "wonderful": 12.0, "terrible": 9.0, "good": 30.0,
    "god": 1.0, "plot": 8.0, "and": 60.0, "acting": 7.0, "for": 30.0, "get": 20.0, "forget": 2.0,
    "n't": 1.0, "half": 3.0, "asleep": 2.0, "boring": 6.0, "\u00e9lan": 1.0,
}  # fmt: skip
FOLDS = {"\u0430": "a", "\u043e": "o", "\u0435": "e", "\u0440": "p", "\u0441": "c"}
NORMALISER = Normaliser(WEIGHTS, FOLDS)
ROBUST = Normaliser(WEIGHTS, FOLDS, absorption=0.5)
CLEAN = "The film is wonderful , the acting good and half-asleep ."
words = st.sampled_from(sorted(WEIGHTS))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("a wnoderful fil", "a wonderful film"),
        ("Wondreful", "Wonderful"),
        ("TERIBLE plot", "TERRIBLE plot"),
        ("t3rrible", "terrible"),
        ("g@od", "good"),
        ("wonderfu$", "wonderful"),
        ("ter rible acting", "terrible acting"),
        ("terribleplot", "terrible plot"),
        ("for get", "for get"),
        ("t\u0435rribl\u0435", "terrible"),
        ("won\u200bder\u200dful", "wonderful"),
        ("\uff57\uff4fnderful", "wonderful"),
        ("wonedrflu", "wonderful"),
    ],
)
def test_what_is_misspelt_is_read_as_what_was_meant(written: str, read: str) -> None:
    assert NORMALISER(written) == read


@pytest.mark.parametrize(
    "text",
    [
        CLEAN,
        "",
        "  \n ",
        "3.14 10,000 2nd B2B user_name bob@site.com #1",
        "\u6211\u559c\u6b22\u8fd9\u90e8\u7535\u5f71",
        "\u044d\u0442\u043e \u0441\u043e\u043a",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "xylophonist of zq",
    ],
)
def test_what_is_not_damaged_or_not_known_stays(text: str) -> None:
    assert NORMALISER(text) == text


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_a_normalised_text_is_normalised(text: str) -> None:
    for normaliser in (NORMALISER, ROBUST, Normaliser({}, FOLDS)):
        once = normaliser(text)
        assert normaliser(once) == once


@settings(max_examples=150, deadline=None)
@given(
    st.lists(words, min_size=1, max_size=8),
    st.sampled_from(["typos", "edits", "ocr", "whitespace", "zero_width", "punctuation"]),
    st.integers(0, 99),
)
def test_a_damaged_text_is_normalised_once_and_for_all(several, kind, seed) -> None:
    damaged = perturb(" ".join(several), kind, 0.2, seed=seed, example_id="row")
    for normaliser in (NORMALISER, ROBUST):
        once = normaliser(damaged)
        assert normaliser(once) == once


@settings(max_examples=100, deadline=None)
@given(st.lists(words, min_size=1, max_size=8))
def test_rows_of_known_words_stay_as_they_are(several: list[str]) -> None:
    """But for two words that together are a third, as ``for get``: whichever is likelier is read."""
    text = " , ".join(several)
    assert NORMALISER(text) == text


def test_the_answer_does_not_depend_on_what_was_asked_before() -> None:
    texts = [f"{new} film" for word in WEIGHTS for new in slips(word)[:40]]
    forwards = [Normaliser(WEIGHTS, FOLDS)(text) for text in texts]
    shuffled = list(range(len(texts)))
    random.Random(0).shuffle(shuffled)
    one = Normaliser(dict(reversed(WEIGHTS.items())), FOLDS)
    backwards = {index: one(texts[index]) for index in shuffled}
    assert [backwards[index] for index in range(len(texts))] == forwards


def test_every_slip_is_one_slip_and_leads_back_where_no_other_word_is_near() -> None:
    for word in ("wonderful", "terrible", "asleep"):
        for new in slips(word):
            if " " not in new and "@" not in new and "$" not in new:
                assert slip(new, word) > 0, (new, word)
            assert NORMALISER(new) == word, new


def test_slips_are_judged_as_damerau_distance_one() -> None:
    """By the table of all that is one edit away, made the slow way."""
    letters = "abc"
    for length in range(4):
        for word in _all_words(letters, length):
            near = set(_one_edit_away(word, letters))
            for n in range(max(0, length - 1), length + 2):
                for other in _all_words(letters, n):
                    if other != word:
                        assert (slip(other, word) > 0) == (other in near), (other, word)


def _all_words(letters: str, length: int) -> list[str]:
    found = [""]
    for _ in range(length):
        found = [word + letter for word in found for letter in letters]
    return found


def _one_edit_away(word: str, letters: str):
    for place in range(len(word) + 1):
        yield from (word[:place] + letter + word[place:] for letter in letters)
    for place in range(len(word)):
        yield word[:place] + word[place + 1 :]
        yield from (word[:place] + letter + word[place + 1 :] for letter in letters)
        if place + 1 < len(word):
            yield word[:place] + word[place + 1] + word[place] + word[place + 2 :]


def test_a_rare_word_stands_for_a_frequent_neighbour_where_that_is_asked() -> None:
    assert Lexicon(WEIGHTS).mended("god") == "god"
    absorbing = Lexicon(WEIGHTS, absorption=5)
    assert absorbing.mended("god") == "good"
    assert all(
        absorbing.mended(absorbing.mended(word)) == absorbing.mended(word) for word in WEIGHTS
    )


def test_a_word_of_any_length_is_read_in_no_time() -> None:
    lexicon = Lexicon(WEIGHTS)
    start = time.process_time()
    for letters in ("a", "terrible", "wonderful"):
        assert lexicon.mended(letters * 20_000) == letters * 20_000
    assert time.process_time() - start < 1.0
    assert lexicon.mended("wonderfulwonderful") == "wonderful wonderful"
    assert lexicon.mended("wonderfulxyz") == "wonderfulxyz"


def test_readings_of_words_from_outside_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lexicon_module, "_MOST_KEPT", 4)
    lexicon = Lexicon(WEIGHTS)
    for word in ("terible", "qqqqa", "qqqqb", "qqqqc", "qqqqd", "terible"):
        lexicon.mended(word)
    assert len(lexicon._mended) <= 4
    assert lexicon.mended("terible") == "terrible"


def test_lookalikes_of_unicode_are_folded_and_other_scripts_stay() -> None:
    folds = ascii_folds()
    for plain, others in lookalikes().items():
        for other in others:
            assert folds[other] == plain.lower() or plain in "Il1", (plain, other)
    assert unmasked("\u0440\u0430ypal", folds) == "paypal"
    russian = "\u044d\u0442\u043e \u0441\u043e\u043a"
    assert unmasked(russian, folds) == russian
    assert visible("a\u00adb\ufe0f \u2060c") == "ab c"


def test_it_is_saved_with_the_tokenizer_and_read_with_it(tmp_path) -> None:
    base = save_tiny_model(tmp_path / "base")
    tokenizer = load_tokenizer(base)
    texts = [" ".join(WORDS)] * 2
    params = NormalisationParams()
    made = build_normaliser(texts, tokenizer, params)
    clean = encode(tokenizer, ["a good card"], None, 32)
    with_normaliser(tokenizer, made)
    (tmp_path / "out").mkdir()
    save_tokenizer(tokenizer, tmp_path / "out")
    loaded = load_tokenizer(tmp_path / "out")
    assert encode(loaded, ["a goood c\u0430rd"], ["a goood card"], 32).token_ids == (
        encode(load_tokenizer(base), ["a good card"], ["a good card"], 32).token_ids
    )
    assert encode(loaded, ["a good card"], None, 32) == clean
    found = load_normaliser(tmp_path / "out")
    assert found is not None
    assert found.digest == made.digest
    assert load_normaliser(base) is None


def test_what_is_too_long_for_a_word_is_not_learnt(tmp_path) -> None:
    tokenizer = load_tokenizer(save_tiny_model(tmp_path / "base"))
    long = "k" * 65
    made = build_normaliser([f"word {long} {long[1:]}"], tokenizer, NormalisationParams())
    assert long not in made.weights
    assert {"word", long[1:]} <= set(made.weights)


def test_an_altered_normaliser_is_refused(tmp_path) -> None:
    NORMALISER.save(tmp_path)
    content = json.loads((tmp_path / FILE).read_text())
    content["weights"]["god"] = 99.0
    (tmp_path / FILE).write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="was altered"):
        load_normaliser(tmp_path)
    (tmp_path / FILE).write_text("[]")
    with pytest.raises(CheckpointError, match="is no normaliser"):
        load_normaliser(tmp_path)
