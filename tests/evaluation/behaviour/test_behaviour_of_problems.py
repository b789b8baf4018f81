"""Behavioural tests where an answer is more than one label: entities, spans, label sets, texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from pipeline_steps.errors import ConfigurationError
from pipeline_steps.evaluation.behaviour.asked import Question, asked_row, without_marks
from pipeline_steps.evaluation.behaviour.cases import cases_of, questions_of, write_cases
from pipeline_steps.evaluation.behaviour.declared import load_behaviour
from pipeline_steps.evaluation.behaviour.fitting import EXPECTATIONS
from pipeline_steps.evaluation.behaviour.verdicts import judge_tests, read_answers
from pipeline_steps.evaluation_types import BehaviourResult
from pipeline_steps.predictions_file import PredictionTable, StructuredTable, write_predictions
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.problems.ner import tokens_and_tags

Says = Callable[[Question], object]
FILLERS = {"name": ["Ada", "Grace Hopper"], "place": ["Rome", "Oslo"]}


def load(root: Path, problem: str, *tests: dict, known: frozenset[str] | None = None):
    path = root / "behaviour.yaml"
    path.write_text(
        yaml.safe_dump({"fillers": FILLERS, "tests": list(tests)}, sort_keys=False),
        encoding="utf-8",
    )
    return load_behaviour(path, known, problem)


def judged(
    root: Path,
    problem: str,
    says: Says,
    *tests: dict,
    sure: Callable[[Question], float] | None = None,
) -> dict[str, BehaviourResult]:
    """Return what a model that answers by a function makes of tests, by way of its files."""
    behaviour = load(root, problem, *tests)
    cases = cases_of(behaviour)
    dataset = write_cases(cases, root / "cases.parquet", problem)
    questions = questions_of(cases)
    order = list(range(len(questions)))[::-1]  # answers are found by id, whatever their order
    shared = {
        "example_ids": np.array([f"{i:06d}" for i in order], dtype=object),
        "truth": np.array([""] * len(order), dtype=object),
        "n_tokens": np.ones(len(order), dtype=np.int32),
        "columns": {},
    }
    said = [says(questions[i]) for i in order]
    if problem == "relation_extraction":
        logits = np.array([[np.log(p), np.log(1 - p)] for p in said], dtype=np.float32)
        table = PredictionTable(**shared, logits=logits, labels=("owns", "none"))
    else:
        texts = np.array([json.dumps(s) for s in said], dtype=object)
        score = np.array([1.0 if sure is None else sure(questions[i]) for i in order])
        table = StructuredTable(**shared, predicted=texts, score=score, labels=())
    predictions = write_predictions(
        root / "predictions.parquet", table, checkpoint_digest="c", dataset_digest=dataset.digest,
        suite="behaviour", kind="behaviour", problem=problem,
    )  # fmt: skip
    answers = read_answers(predictions, cases)
    return {r.name: r for r in judge_tests(behaviour, cases, answers, 0.95)}


def finds_capitals(question: Question) -> list[str]:
    """Return tags of a model that takes every run of capital words for a person."""
    words = question.text.split()
    capital = [word[:1].isupper() and place > 0 for place, word in enumerate(words)]
    return [
        "O" if not is_one else "I-per" if place and capital[place - 1] else "B-per"
        for place, is_one in enumerate(capital)
    ]


def test_all_entities_must_be_found_with_their_types_and_words(tmp_path: Path) -> None:
    found = judged(
        tmp_path, "ner", finds_capitals,
        {"name": "person", "kind": "minimum_functionality", "texts": ["I met {name} ."],
         "entities": {"per": ["{name}"]}},
        {"name": "place", "kind": "minimum_functionality", "texts": ["I met {name} in {place} ."],
         "entities": {"per": ["{name}"], "loc": ["{place}"]}},
        {"name": "nobody", "kind": "minimum_functionality", "texts": ["it rains .", "it Rains ."],
         "entities": {}},
    )  # fmt: skip
    assert {name: (r.n, r.n_failed) for name, r in found.items()} == {
        "person": (2, 0), "place": (4, 4), "nobody": (2, 1),
    }  # fmt: skip
    first = found["place"].failures[0]
    assert (first.expected, first.got) == ("per: Ada; loc: Rome", "per: Ada; per: Rome")
    assert (found["nobody"].failures[0].expected, found["nobody"].failures[0].got) == (
        "nothing", "per: Rains",
    )  # fmt: skip


def test_another_name_may_have_more_words_but_what_is_put_beside_must_change_nothing(
    tmp_path: Path,
) -> None:
    found = judged(
        tmp_path, "ner", finds_capitals,
        {"name": "names", "kind": "invariance", "texts": ["I met {name} ."],
         "change": {"vary": "name"}},
        {"name": "suffix", "kind": "invariance", "texts": ["I met {name}"],
         "change": {"suffix": " Today"}},
        {"name": "prefix", "kind": "invariance", "texts": ["I met {name}"],
         "change": {"prefix": "so "}},
    )  # fmt: skip
    assert {name: (r.n, r.n_failed) for name, r in found.items()} == {
        "names": (1, 0), "suffix": (2, 2), "prefix": (2, 2),
    }  # fmt: skip
    assert found["suffix"].failures[0].got == "per: Ada Today"
    assert found["prefix"].failures[0].original == "I met Ada"


def last_word(question: Question) -> str:
    return "" if "why" in question.text else question.context.split()[-1]


def test_one_of_the_right_answers_must_come_and_none_where_there_is_none(tmp_path: Path) -> None:
    who = {"kind": "minimum_functionality", "texts": ["who lives in {place}?"]}
    found = judged(
        tmp_path, "question_answering", last_word,
        {**who, "name": "last", "context": "In {place} lives {name}",
         "answers": ["{name}", "hopper"]},
        {**who, "name": "first", "context": "{name} lives in {place}", "answers": ["{name}"]},
        {"name": "none", "kind": "minimum_functionality", "texts": ["why?", "who?"],
         "context": "it rains", "answers": []},
    )  # fmt: skip
    assert {name: (r.n, r.n_failed) for name, r in found.items()} == {
        "last": (4, 0), "first": (4, 4), "none": (2, 1),
    }  # fmt: skip
    assert found["none"].failures[0].text == "who? [it rains]"
    assert (found["none"].failures[0].expected, found["none"].failures[0].got) == (
        "nothing", "rains",
    )  # fmt: skip


def test_question_and_context_are_changed_apart(tmp_path: Path) -> None:
    asked = {"kind": "invariance", "texts": ["who is it?"], "context": "it is {name}"}
    found = judged(
        tmp_path, "question_answering", last_word,
        {**asked, "name": "question", "change": {"replace": {"who": "who then"}}},
        {**asked, "name": "why", "change": {"prefix": "why: "}},
        {**asked, "name": "context", "change": {"suffix": " Bob", "of": "context"}},
        {**asked, "name": "case", "change": {"noise": {"kind": "casing", "rate": 1.0},
                                             "of": "context"}},
    )  # fmt: skip
    assert {name: (r.n, r.n_failed) for name, r in found.items()} == {
        "question": (2, 0), "why": (2, 2), "context": (2, 2), "case": (2, 0),
    }  # fmt: skip
    assert found["context"].failures[0].text == "who is it? [it is Ada Bob]"


def owned(question: Question) -> float:
    """Return how sure a model is that the head owns the tail: it reads the order of the two."""
    text, spans = without_marks(question.text)
    first = spans["head"] < spans["tail"]
    return (0.9 if first else 0.2) - 0.3 * text.count("!")


def test_a_relation_is_asked_with_marks_and_has_a_probability(tmp_path: Path) -> None:
    plain = "<head>{name}</head> owns <tail>a card</tail>"
    turned = "<tail>{name}</tail> owns <head>a card</head>"
    found = judged(
        tmp_path, "relation_extraction", owned,
        {"name": "min", "kind": "minimum_functionality", "texts": [plain, turned],
         "label": "owns"},
        {"name": "way", "kind": "directional", "texts": [plain], "label": "owns",
         "change": {"suffix": "!"}, "must_not": "fall"},
        {"name": "typos", "kind": "invariance", "texts": [plain],
         "change": {"noise": {"kind": "typos", "rate": 0.3}}},
    )  # fmt: skip
    assert {name: (r.n, r.n_failed) for name, r in found.items()} == {
        "min": (4, 2), "way": (2, 2), "typos": (2, 0),
    }  # fmt: skip
    rows = pq.read_table(tmp_path / "cases.parquet").to_pylist()
    assert rows[0]["text"] == "Ada owns a card"
    assert len({row["text"] for row in rows}) < len(rows)  # the same words, marked otherwise
    assert not any(get_problem("relation_extraction").find_flaws(row) for row in rows)


WAY = {"name": "way", "kind": "directional", "must_not": "fall"}


def test_the_entities_of_a_type_must_not_become_fewer(tmp_path: Path) -> None:
    """The second name stands behind the first one, so that the model takes both for one person."""
    way = WAY | {"texts": ["I met {name} ."], "watch": "number"}
    found = judged(
        tmp_path, "ner", finds_capitals,
        {**way, "change": {"suffix": " then Bo"}},
        {**way, "name": "up", "change": {"suffix": " then Bo"}, "must_not": "rise"},
        {**way, "name": "places", "label": "loc", "change": {"suffix": " x"}, "must_not": "rise"},
        {**way, "name": "gone", "label": "per", "change": {"replace": {"Ada": "nobody"}}},
        {**way, "name": "let", "change": {"replace": {"Ada": "nobody"}}, "tolerance": 1},
    )  # fmt: skip
    assert {name: (r.n, r.n_failed) for name, r in found.items()} == {
        "way": (2, 0), "up": (2, 2), "places": (2, 0), "gone": (1, 1), "let": (1, 0),
    }  # fmt: skip
    assert (found["gone"].failures[0].expected, found["gone"].failures[0].got) == (
        "at least 1 per", "0",
    )  # fmt: skip
    assert found["up"].failures[0].expected == "at most 1 entities"


def test_a_hint_must_not_make_an_answer_less_sure_nor_take_it_away(tmp_path: Path) -> None:
    ask = WAY | {"texts": ["who lives in {place}?"], "context": "In it lives Ada"}
    hint = {"change": {"suffix": " Indeed so", "of": "context"}}
    found = judged(
        tmp_path, "question_answering", last_word,
        {**ask, **hint, "watch": "score"},
        {**ask, **hint, "name": "there", "watch": "number"},
        {**ask, "name": "gone", "watch": "number", "change": {"prefix": "why, "}},
        sure=lambda question: 0.9 if question.context.endswith("Ada") else 0.6,
    )  # fmt: skip
    assert {name: (r.n, r.n_failed) for name, r in found.items()} == {
        "way": (2, 2), "there": (2, 0), "gone": (2, 2),
    }  # fmt: skip
    first = found["way"].failures[0]
    assert (first.expected, first.got) == ("at least 0.90 sure", "0.60")
    assert (found["gone"].failures[0].expected, found["gone"].failures[0].got) == (
        "at least 1 answers", "0",
    )  # fmt: skip


def test_a_label_must_stay_in_the_set_and_a_longer_source_be_answered_at_length(
    tmp_path: Path,
) -> None:
    found = judged(
        tmp_path, "multi_label_classification",
        lambda question: ["cold", "rude"] if "cold" in question.text else ["rude", "slow"],
        WAY | {"texts": ["cold and slow"], "watch": "number", "label": "cold",
               "change": {"replace": {"cold": "warm"}}},
        WAY | {"name": "all", "texts": ["cold and slow"], "watch": "number",
               "change": {"replace": {"cold": "warm"}}},
    )  # fmt: skip
    assert {name: r.n_failed for name, r in found.items()} == {"way": 1, "all": 0}
    longer = WAY | {"texts": ["say it"], "watch": "number", "change": {"suffix": " at length"}}
    found = judged(
        tmp_path, "summarisation",
        lambda question: {"text": "a b" if "length" in question.text else "a b c"},
        longer, longer | {"name": "let", "tolerance": 1},
    )  # fmt: skip
    assert {name: r.n_failed for name, r in found.items()} == {"way": 1, "let": 0}
    assert found["way"].failures[0].expected == "at least 3 words"


def test_label_sets_are_compared_as_sets(tmp_path: Path) -> None:
    found = judged(
        tmp_path, "multi_label_classification",
        lambda q: [word for word in ("late", "lost") if word in q.text],
        {"name": "both", "kind": "minimum_functionality", "texts": ["lost and late", "lost"],
         "labels": ["lost", "late"]},
        {"name": "none", "kind": "minimum_functionality", "texts": ["hello"], "labels": []},
        {"name": "same", "kind": "invariance", "texts": ["it is lost"],
         "change": {"suffix": " and late"}},
    )  # fmt: skip
    assert {name: (r.n, r.n_failed) for name, r in found.items()} == {
        "both": (2, 1), "none": (1, 0), "same": (1, 1),
    }  # fmt: skip


@pytest.mark.parametrize("problem", ["translation", "summarisation", "dialogue"])
def test_a_written_answer_must_say_some_things_and_not_others(tmp_path: Path, problem) -> None:
    found = judged(
        tmp_path, problem, lambda q: {"text": q.text.upper(), "nll": 0.0, "n_tokens": 0},
        {"name": "keeps", "kind": "minimum_functionality", "texts": ["{name} pays 20 pounds"],
         "contains": ["{name}", "20"], "lacks": ["dollar"]},
        {"name": "lacks", "kind": "minimum_functionality", "texts": ["20 dollars"],
         "lacks": ["dollar"]},
        {"name": "case", "kind": "invariance", "texts": ["a card"],
         "change": {"replace": {"card": "Card"}}},
        {"name": "more", "kind": "invariance", "texts": ["a card"], "change": {"suffix": "!"}},
    )  # fmt: skip
    assert {name: (r.n, r.n_failed) for name, r in found.items()} == {
        "keeps": (2, 0), "lacks": (1, 1), "case": (1, 0), "more": (1, 1),
    }  # fmt: skip
    assert found["lacks"].failures[0].expected == "lacks: dollar"


@pytest.mark.parametrize("problem", sorted(EXPECTATIONS))
def test_what_is_asked_is_a_row_that_the_problem_reads_as_a_request(problem: str) -> None:
    marked = "<head>Ada</head> met <tail>Bob</tail>"
    text = marked if problem == "relation_extraction" else "Ada met Bob"
    context = "Ada met Bob." if problem == "question_answering" else ""
    row = asked_row(Question(text, context), problem)
    assert row["text"].strip(". ") in ("Ada met Bob", "user: Ada met Bob", "User: Ada met Bob")
    flaws = set(get_problem(problem).find_flaws({**row, "label": ""}))
    assert flaws <= {"target_empty"}  # what is to be written is not known
    if problem == "ner":
        assert tokens_and_tags(row["target"]) == (["Ada", "met", "Bob"], ["O"] * 3)


MINIMUM = {"name": "a", "kind": "minimum_functionality", "texts": ["x"]}


@pytest.mark.parametrize(
    ("problem", "test", "said"),
    [
        ("ner", {"label": "per"}, "label is not for ner: say entities"),
        ("ner", {"entities": {"per": ["{who}"]}}, "there is no filler 'who'"),
        ("ner", {"entities": {"org": ["x"]}}, "'org' is no type of entity of the train rows"),
        ("ner", {"entities": {}, "context": "y"}, "ner has no use for it"),
        ("question_answering", {"answers": ["y"]}, "the questions need a context"),
        ("question_answering", {"contains": ["y"], "context": "y"},
         "contains is not for question_answering: say answers"),
        ("translation", {"answers": ["y"]}, "say contains or lacks"),
        ("translation", {"contains": []}, "an empty text is in every answer"),
        ("dialogue", {"lacks": [""]}, "an empty text is in every answer"),
        ("relation_extraction", {"label": "per"}, r"there is no <head>\.\.\.</head>"),
        ("multi_label_classification", {"labels": ["z"]}, "'z' is no label of the train rows"),
        ("text_classification", {}, "minimum_functionality needs label"),
        ("ner", {"kind": "invariance", "change": {"prefix": "a", "of": "context"}},
         "ner has no context"),
        ("ner", {"kind": "directional", "label": "per", "change": {"prefix": "a"},
                 "must_not": "fall"}, "directional watches the probability of a label"),
        ("ner", WAY | {"change": {"prefix": "a"}, "watch": "score"},
         "score has no direction in ner: say number"),
        ("ner", WAY | {"change": {"prefix": "a"}, "watch": "number", "label": "org"},
         "'org' is no type of entity of the train rows"),
        ("text_classification", WAY | {"change": {"prefix": "a"}, "watch": "probability"},
         "say which label's probability is watched"),
        ("text_classification", WAY | {"change": {"prefix": "a"}, "watch": "score", "label": "per"},
         "the score is that of whatever is answered: leave label out"),
        ("translation", WAY | {"change": {"prefix": "a"}, "watch": "number", "label": "per"},
         "the number is that of whatever is answered: leave label out"),
        ("summarisation", WAY | {"change": {"prefix": "a"}},
         "directional needs label"),
        ("ner", {"kind": "invariance", "change": {"prefix": "a"}, "watch": "number"},
         "has no use for watch"),
    ],
)  # fmt: skip
def test_what_a_problem_cannot_be_asked_is_a_mistake(tmp_path, problem, test, said) -> None:
    with pytest.raises(ConfigurationError, match=said):
        load(tmp_path, problem, {**MINIMUM, **test}, known=frozenset({"per"}))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<head>a</head> b", "there is no <tail>"),
        ("<head> </head> <tail>b</tail>", "there is no <head>"),
        ("<head>a</head> <head>b</head> <tail>c</tail>", "<head> stands there twice"),
        ("</head>a<head> <tail>c</tail>", "there is no <head>"),
    ],
)  # fmt: skip
def test_marks_that_are_not_whole_are_named(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        without_marks(text)
