"""Suites made of a user's rows, and behavioural tests, for models that were not trained here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from builders import write_jsonl
from foreign_models import (
    NO_OPTIONS,
    Served,
    best_label,
    classifier,
    save_foreign_model,
)
from tiny_workspaces import sentiment_rows

from flows.commands.judge_model import attack_any, evaluate_any, lines
from flows.foreign.judging import Evaluated
from flows.pipeline import call_directly
from pipeline_steps.errors import ConfigurationError, UsageError
from pipeline_steps.problems.entities import entities
from pipeline_steps.problems.ner import tokens_and_tags
from pipeline_steps.problems.question_answering import answers

TAGGED = [
    {
        "id": "a",
        "tokens": ["Ada", "met", "Alan", "Turing"],
        "tags": ["B-per", "O", "B-per", "I-per"],
    },
    {"id": "b", "tokens": ["Grace", "slept"], "tags": ["B-per", "O"]},
    {"id": "c", "tokens": ["it", "rains"], "tags": ["O", "O"]},
]
ASKED = [
    {"id": "q", "context": "The mill was built in 1840. It burnt down.",
     "question": "When was the mill built?", "answers": {"text": ["1840"], "answer_start": [22]}},
]  # fmt: skip
TESTS = """tests:
  - name: praise
    kind: minimum_functionality
    texts: [good film, bad film]
    label: plus
  - name: places
    kind: invariance
    texts: [a good film]
    change: {suffix: " from Rome"}
"""
WAY = """  - name: more_praise
    kind: directional
    texts: [a film]
    change: {suffix: " that is good"}
    label: minus
    must_not: rise
  - name: blame
    kind: directional
    texts: [a good film]
    change: {suffix: " that is bad"}
    label: plus
    must_not: fall
"""


def evaluated(model: Path | str, data: Path, **options: Any) -> Evaluated:
    asked = {**NO_OPTIONS, "model": str(model), "data": data, **options}
    return evaluate_any(asked, call=call_directly)


@pytest.fixture
def served() -> Iterator[Served]:
    with classifier(Served()) as running:
        yield running


@pytest.fixture
def sentiments(tmp_path: Path) -> Path:
    return write_jsonl(tmp_path / "rows.jsonl", sentiment_rows(40))


def test_entities_are_swapped_for_others_of_the_file_and_the_gap_is_of_pairs(
    tmp_path: Path,
) -> None:
    data = write_jsonl(tmp_path / "rows.jsonl", TAGGED)
    model = save_foreign_model(tmp_path / "m", ("O", "B-per", "I-per"), problem="ner")
    found = evaluated(model, data, rewrite=["entity_swap"], report=tmp_path / "out")
    _, swapped = found.reports
    assert (swapped.suite, swapped.kind, swapped.n) == ("entity_swap", "rewritten", 3)
    assert swapped.n_unchanged == 1
    assert swapped.metric("entity_f1_gap") is not None
    rows = pq.read_table(tmp_path / "out/rows/entity_swap.parquet").to_pylist()
    known = {("Ada",), ("Alan", "Turing"), ("Grace",)}
    for row, before in zip(rows, TAGGED, strict=True):
        tokens, tags = tokens_and_tags(row["target"])
        said = [tuple(tokens[start:end]) for _, start, end in entities(tags)]
        was = [tuple(before["tokens"][a:b]) for _, a, b in entities(before["tags"])]
        assert set(said) <= known
        assert all(new != old for new, old in zip(said, was, strict=True))
    assert found.sources["entity_swap"].endswith("rows.jsonl, entity_swap 1")


def test_a_sentence_that_is_no_answer_is_put_into_contexts(tmp_path: Path) -> None:
    data = write_jsonl(tmp_path / "rows.jsonl", ASKED)
    model = save_foreign_model(tmp_path / "m", ("LABEL_0", "LABEL_1"), problem="question_answering")
    evaluated(model, data, rewrite=["distractor"], report=tmp_path / "out")
    [row] = pq.read_table(tmp_path / "out/rows/distractor.parquet").to_pylist()
    [(said, start)] = answers(row["target"])
    assert len(row["text"]) > len(ASKED[0]["context"])
    assert row["text"][start : start + len(said)] == said == "1840"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rewrite": ["distractor"]}, "distractor is for question_answering, and the problem is ner"),
        ({"rewrite": ["swap"]}, "--rewrite 'swap'"),
        ({"rewrite": ["entity_swap:2"]}, "--rewrite 'entity_swap:2'"),
        ({"noise": ["word_loss"]}, "word_loss is not for ner"),
        ({"rewrite": ["entity_swap", "entity_swap:0.5"]}, "two sets of rows are called"),
        ({"suite": ["behaviour=x.csv"]}, "behaviour is the name of a split or of another report"),
    ],
)  # fmt: skip
def test_what_cannot_be_made_of_the_rows_is_refused(options, said: str, tmp_path: Path) -> None:
    data = write_jsonl(tmp_path / "rows.jsonl", TAGGED)
    model = save_foreign_model(tmp_path / "m", ("O", "B-per", "I-per"), problem="ner")
    with pytest.raises(ConfigurationError, match=said):
        evaluated(model, data, **options)


def test_behavioural_tests_are_asked_of_an_endpoint(
    served: Served, sentiments: Path, tmp_path: Path
) -> None:
    path = tmp_path / "behaviour.yaml"
    path.write_text(TESTS + WAY, encoding="utf-8")
    found = evaluated(served.url, sentiments, behaviour=path, report=tmp_path / "out")
    report = found.reports[-1]
    assert {test.name: (test.n, test.n_failed) for test in report.behaviour} == {
        "praise": (2, 1), "places": (1, 0), "more_praise": (1, 0), "blame": (1, 1),
    }  # fmt: skip
    assert "behaviour: 2 of 5 cases failed" in lines(found)
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert "Behavioural tests" in page
    assert "bad film" in page


def test_a_model_that_tells_labels_alone_has_no_probability_to_watch(
    served: Served, sentiments: Path, tmp_path: Path
) -> None:
    served.answer = best_label
    path = tmp_path / "behaviour.yaml"
    path.write_text(TESTS, encoding="utf-8")
    report = evaluated(served.url, sentiments, behaviour=path).reports[-1]
    assert [test.n_failed for test in report.behaviour] == [1, 0]
    path.write_text(TESTS + WAY, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="more_praise watches a probability"):
        evaluated(served.url, sentiments, behaviour=path)


def test_a_label_that_the_model_does_not_answer_is_a_mistake(
    served: Served, sentiments: Path, tmp_path: Path
) -> None:
    path = tmp_path / "behaviour.yaml"
    path.write_text(TESTS.replace("label: plus", "label: pluss"), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"line 5: .*'pluss' is no label of the model"):
        evaluated(served.url, sentiments, behaviour=path)


def test_a_model_of_entities_is_asked_by_its_types(tmp_path: Path) -> None:
    data = write_jsonl(tmp_path / "rows.jsonl", TAGGED)
    model = save_foreign_model(tmp_path / "m", ("O", "B-per", "I-per"), problem="ner")
    path = tmp_path / "behaviour.yaml"
    test = (
        "tests:\n  - {name: a, kind: minimum_functionality, texts: [Ada], entities: {per: [Ada]}}"
    )
    path.write_text(test, encoding="utf-8")
    assert evaluated(model, data, behaviour=path).reports[-1].n == 1
    path.write_text(test.replace("per:", "org:"), encoding="utf-8")
    with pytest.raises(ConfigurationError, match="'org' is no type of entity of the model"):
        evaluated(model, data, behaviour=path)


@pytest.mark.parametrize("option", ["suite", "noise", "rewrite", "behaviour"])
def test_an_attack_refuses_rows_that_it_would_not_look_at(option: str, sentiments: Path) -> None:
    asked = {**NO_OPTIONS, "model": "http://127.0.0.1:9/", "data": sentiments, option: ["x"]}
    with pytest.raises(UsageError, match=f"--{option} with an attack"):
        attack_any(asked, {"recipes": ("pruthi",)}, call=call_directly)
