"""Behavioural tests: what is declared, which cases it makes, what a model makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pipeline_steps.errors import ConfigurationError, DataError
from pipeline_steps.evaluation.behaviour.cases import cases_of, texts_of, write_cases
from pipeline_steps.evaluation.behaviour.declared import BehaviourFile, load_behaviour
from pipeline_steps.evaluation.behaviour.verdicts import ask, judge_tests

LABELS = ("lost", "other")
REPOSITORY = Path(__file__).resolve().parents[3]


def declare(*tests: dict, **more) -> BehaviourFile:
    return BehaviourFile.model_validate({"tests": tests, **more})


def says_lost(texts: Sequence[str]) -> np.ndarray:
    """Return probabilities of a model that reads one word, and is unsettled by exclamation marks."""
    sure = np.array([("lost" in text) * 0.9 + 0.05 - 0.2 * text.count("!") for text in texts])
    return np.stack([sure, 1.0 - sure], axis=1)


def judged(behaviour: BehaviourFile):
    cases = cases_of(behaviour)
    return {r.name: r for r in judge_tests(behaviour, cases, ask(says_lost, LABELS, cases), 0.95)}


def minimum(*texts: str, name: str = "minimum", label: str = "lost", **more) -> dict:
    return {"name": name, "kind": "minimum_functionality", "texts": texts, "label": label, **more}


def test_templates_are_filled_with_every_combination() -> None:
    behaviour = declare(
        minimum("{who} lost {what}", "{who} and {who}"),
        fillers={"who": ["I", "we"], "what": ["it", "this", "that"]},
    )
    assert [case.text for case in cases_of(behaviour)] == [
        "I lost it", "I lost this", "I lost that", "we lost it", "we lost this", "we lost that",
        "I and I", "we and we",
    ]  # fmt: skip


def test_of_too_many_cases_some_are_taken_evenly() -> None:
    behaviour = declare(minimum("{n} lost", max_cases=3), fillers={"n": [str(i) for i in range(9)]})
    assert [case.text for case in cases_of(behaviour)] == ["0 lost", "3 lost", "6 lost"]


def test_a_minimum_test_fails_where_the_label_is_another() -> None:
    found = judged(declare(minimum("I lost it", "it is gone")))["minimum"]
    assert (found.n, found.n_failed) == (2, 1)
    assert found.failure_rate.value == 0.5
    assert found.failure_rate.ci_low < 0.5 < found.failure_rate.ci_high
    assert (found.failures[0].text, found.failures[0].expected, found.failures[0].got) == (
        "it is gone", "lost", "other",
    )  # fmt: skip


def test_an_invariance_test_compares_each_value_with_the_first() -> None:
    behaviour = declare(
        {"name": "same", "kind": "invariance", "texts": ["{who} {did} it"],
         "change": {"vary": "did"}},
        fillers={"who": ["I", "we"], "did": ["lost", "lost my", "mislaid"]},
    )  # fmt: skip
    found = judged(behaviour)["same"]
    assert (found.n, found.n_failed) == (4, 2)
    assert found.failures[0].original == "I lost it"
    assert found.failures[0].text == "I mislaid it"


@pytest.mark.parametrize(
    ("must_not", "tolerance", "failed"),
    [("fall", 0.0, 1), ("fall", 0.3, 0), ("rise", 0.0, 0)],
)
def test_a_directional_test_watches_the_probability(must_not, tolerance, failed) -> None:
    behaviour = declare(
        {"name": "way", "kind": "directional", "texts": ["I lost it"], "label": "lost",
         "change": {"suffix": "!"}, "must_not": must_not, "tolerance": tolerance}
    )  # fmt: skip
    found = judged(behaviour)["way"]
    assert found.n_failed == failed
    if failed:
        assert (found.failures[0].expected, found.failures[0].got) == (
            "at least 0.95 of lost", "0.75",
        )  # fmt: skip


def test_how_sure_the_answer_is_may_be_watched_whichever_it_is() -> None:
    way = {"name": "way", "kind": "directional", "texts": ["I lost it"], "watch": "score",
           "change": {"suffix": "!"}, "must_not": "fall"}  # fmt: skip
    found = judged(declare(way))["way"]
    assert (found.failures[0].expected, found.failures[0].got) == ("at least 0.95 sure", "0.75")


def test_a_label_that_an_older_model_does_not_know_has_no_probability() -> None:
    way = {"name": "way", "kind": "directional", "texts": ["I lost it"], "label": "stolen",
           "change": {"suffix": "!"}, "must_not": "fall"}  # fmt: skip
    found = judged(declare(way, minimum("it was stolen", label="stolen")))
    assert (found["way"].n, found["way"].n_failed) == (1, 0)
    assert (found["minimum"].n, found["minimum"].n_failed) == (1, 1)


def test_noise_changes_every_text_the_same_way_each_time() -> None:
    def noisy(seed: int) -> list[str]:
        test = {"name": "typos", "kind": "invariance", "texts": ["I lost it", "a card"],
                "change": {"noise": {"kind": "typos", "rate": 0.05}}}  # fmt: skip
        return [case.text for case in cases_of(declare(test, seed=seed))]

    assert noisy(0) == noisy(0)
    assert noisy(0) != noisy(1)
    assert not {"I lost it", "a card"} & set(noisy(0))


def test_a_change_that_changes_nothing_asks_nothing() -> None:
    behaviour = declare(
        {"name": "swap", "kind": "invariance", "texts": ["I lost it", "we lost it"],
         "change": {"replace": {"we": "they"}}}
    )  # fmt: skip
    assert [case.text for case in cases_of(behaviour)] == ["they lost it"]
    none = declare(
        {"name": "swap", "kind": "invariance", "texts": ["I lost it"],
         "change": {"replace": {"we": "they"}}}
    )  # fmt: skip
    found = judge_tests(none, cases_of(none), ask(says_lost, LABELS, cases_of(declare(
        minimum("x")))), 0.95)[0]  # fmt: skip
    assert (found.n, found.failure_rate.value) == (0, None)


def test_every_text_is_predicted_once(tmp_path) -> None:
    behaviour = declare(
        minimum("I lost it", name="a"), minimum("I lost it", name="b"),
        {"name": "c", "kind": "invariance", "texts": ["I lost it"], "change": {"prefix": "hm "}},
    )  # fmt: skip
    cases = cases_of(behaviour)
    assert len(cases) == 3
    assert texts_of(cases) == ["I lost it", "hm I lost it"]
    first, second = (write_cases(cases, tmp_path / name) for name in ("a.parquet", "b.parquet"))
    assert (first.n_examples, first.kind) == (2, "behaviour")
    assert first.digest == second.digest


def test_a_predictor_that_answers_too_little_is_refused() -> None:
    cases = cases_of(declare(minimum("a", "b")))
    with pytest.raises(DataError, match=r"answers of shape \(1, 2\) to 2 texts"):
        ask(lambda texts: np.ones((1, 2)), LABELS, cases)


WRONG = """\
seed: 0
fillers:
  card: []
  one: [a]
tests:
  - name: a
    kind: minimum_functionality
    texts: ["my {crd}"]
    label: losst
  - name: a
    kind: invariance
    texts: ["my {one}"]
    change: {vary: one}
"""


def test_all_mistakes_are_named_at_once_with_their_lines(tmp_path) -> None:
    path = tmp_path / "behaviour.yaml"
    path.write_text(WRONG, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="has 5 mistakes") as refusal:
        load_behaviour(path, frozenset(LABELS))
    for said in (
        "line 3: fillers.card: a filler without values makes no text",
        "line 9: tests.0.label: 'losst' is no label of the train rows",
        "line 8: tests.0.texts.0: there is no filler 'crd'",
        "line 10: tests.1.name: 'a' is the name of an earlier test",
        "line 13: tests.1.change: 'one' is no filler with at least two values",
    ):
        assert said in str(refusal.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("kind: invariance", "needs change and has no use for label"),
        ("kind: directional", "needs change and needs must_not"),
        ("kind: minimum_functionality\n    speed: 3", "tests.0.speed: unknown key"),
        ("kind: whatever", "tests.0.kind: Input should be"),
        ("kind: invariance\n    change: {prefix: a, suffix: b}", "give exactly one of vary"),
    ],
)
def test_each_kind_takes_its_own_keys(tmp_path, line, said) -> None:
    path = tmp_path / "behaviour.yaml"
    text = f"tests:\n  - name: a\n    texts: [x]\n    label: lost\n    {line}\n"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=said):
        load_behaviour(path)


def test_a_file_that_is_missing_or_no_yaml_is_refused(tmp_path) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no .*none\.yaml"):
        load_behaviour(tmp_path / "none.yaml")
    path = tmp_path / "broken.yaml"
    path.write_text("tests: [", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="has 1 mistake"):
        load_behaviour(path)
    path.write_text("", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="line 1: "):
        load_behaviour(path)


def test_the_tests_of_the_sample_are_right_and_few() -> None:
    from pipeline_steps.data_preparation.sample_grammar import INTENTS

    behaviour = load_behaviour(REPOSITORY / "data/behaviour.yaml", frozenset(INTENTS))
    assert 25 <= len(cases_of(behaviour)) <= 60
