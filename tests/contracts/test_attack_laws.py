"""Laws that every attack obeys, on rows of a toy victim and of every problem."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from builders import structured_examples
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_victims import SERVICES, attacked, passage_of

from pipeline_steps.evaluation.attacks.catalog import ATTACKS, DISTRACTORS
from pipeline_steps.evaluation.attacks.constraints import changed_words, edit_distance
from pipeline_steps.evaluation.attacks.goals import Answer, Goal, Judged
from pipeline_steps.evaluation.attacks.oracle import AnswerBook, Oracle
from pipeline_steps.evaluation.attacks.passage import Passage
from pipeline_steps.evaluation.attacks.pool import Attacked, Limits, Pool
from pipeline_steps.evaluation.attacks.recipes import RECIPES
from pipeline_steps.noise.word_forms import STOP_WORDS
from pipeline_steps.problems.catalog import get_problem

EVERY_RECIPE = pytest.mark.parametrize("name", sorted({*ATTACKS} - {*DISTRACTORS}))
ON_WORDS = pytest.mark.parametrize("name", sorted(RECIPES))
WORDS = ("good", "great", "Lovely", "film", "the", "not", "a", "plot", "really", "GREAT")
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join)
seeds = st.integers(0, 99)
PLAIN = "a good film from the north"
SPELLING = {"deepwordbug": 30, "homoglyph": 8, "invisible": 8}
SUBSTITUTIONS = ("textfooler", "textfooler_strict", "pwws", "pwws_strict", "bae", "genetic")


def rows(several: list[str]) -> list[Passage]:
    return [passage_of(text, name=str(i)) for i, text in enumerate(several)]


def summary(found: dict[str, Attacked]) -> dict[str, Any]:
    return {k: (v.status, dict(v.edits), v.n_queries) for k, v in found.items()}


@EVERY_RECIPE
@pytest.mark.parametrize("ranking", ["recipe", "gradient", "random"])
def test_every_attack_breaks_a_toy_model_without_a_network(
    name: str, ranking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*args: object, **kwargs: object) -> None:
        pytest.fail("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    found = attacked(name, rows([PLAIN]), ranking=ranking)["0"]
    if name == "input_reduction":
        assert (found.status, found.passage.text(found.edits).split()) == ("unknown", ["good"])
    else:
        assert (found.status, found.last.predicted) == ("broken", "bad")


@EVERY_RECIPE
def test_every_attack_says_whose_it_is_and_where_it_deviates(name: str) -> None:
    recipe = ATTACKS[name]
    assert recipe.paper
    assert recipe.deviations
    assert set(recipe.services("gradient")) <= set(SERVICES)


@EVERY_RECIPE
@settings(max_examples=15)
@given(several=st.lists(texts, min_size=1, max_size=5), seed=seeds)
def test_the_same_seed_gives_the_same_however_many_rows_are_attacked_at_once(
    name: str, several: list[str], seed: int
) -> None:
    alone = attacked(name, rows(several), seed=seed, rows_at_once=1)
    assert summary(alone) == summary(attacked(name, rows(several), seed=seed, rows_at_once=3))


@EVERY_RECIPE
@settings(max_examples=15)
@given(text=texts, seed=seeds, budget=st.integers(0, 12))
def test_no_attack_asks_more_than_its_budget_and_none_without_one_changes_anything(
    name: str, text: str, seed: int, budget: int
) -> None:
    found = attacked(name, rows([text]), seed=seed, max_queries=budget)["0"]
    assert found.n_queries <= budget
    if budget == 0:
        assert (found.edits, found.status in ("wrong", "unknown", "unbroken")) == ({}, True)


@EVERY_RECIPE
@settings(max_examples=15)
@given(text=texts, seed=seeds, most=st.integers(1, 3))
def test_no_attack_changes_more_words_than_it_is_told(
    name: str, text: str, seed: int, most: int
) -> None:
    found = attacked(name, rows([text]), seed=seed, max_words=most)["0"]
    assert changed_words(found.passage, found.edits) <= most


@EVERY_RECIPE
@settings(max_examples=25)
@given(text=texts, seed=seeds)
def test_edits_keep_what_the_attack_promises(name: str, text: str, seed: int) -> None:
    found = attacked(name, rows([text]), seed=seed)["0"]
    pairs = [(found.passage.words[word].text, new) for word, new in found.edits.items()]
    assert all(old != new for old, new in pairs)
    if name in SPELLING:
        assert sum(edit_distance(*pair) for pair in pairs) <= SPELLING[name]
    if name.startswith(("pruthi", "typos")):
        assert all(len(old) >= 4 and (old[0], old[-1]) == (new[0], new[-1]) for old, new in pairs)
        most = {"pruthi": 1, "pruthi2": 2, "typos_proof": 1, "typos_cascade": 3}
        assert len(pairs) <= most[name]
    if name in SUBSTITUTIONS:
        assert {new.lower() for _, new in pairs} <= {"decent", "grand", "pretty", "movie"}
    if name == "universal_trigger":
        assert {new for _, new in pairs} <= {"some dreadful words "}
        assert found.passage.text(found.edits).endswith(text)
    if name in (*SUBSTITUTIONS, "hotflip"):
        assert not {old.lower() for old, _ in pairs} & STOP_WORDS


class _AnyChange(Goal):
    """A goal that harm alone leads to: no row of a structured problem is ever broken."""

    def judge(self, answer: Answer) -> Judged:
        return Judged(broken=False, harm=answer.confidence)


def indifferent(asked: Any) -> list[Answer]:
    """Answer with a confidence that depends on the text alone, in a way that is hard to guess."""
    return [
        Answer("", "", (sum(map(ord, row["text"] + (row["text_pair"] or ""))) % 97) / 97)
        for row in asked
    ]


@ON_WORDS
@pytest.mark.parametrize("problem", ["ner", "question_answering", "relation_extraction"])
def test_attacked_rows_are_still_rows_of_their_problem(name: str, problem: str) -> None:
    asked = get_problem(problem)
    examples = [
        {"example_id": str(i), **row} for i, row in enumerate(structured_examples(problem, 3))
    ]
    passages = [Passage.of(row, asked) for row in examples]
    services = {k: v for k, v in SERVICES.items() if k in RECIPES[name].services()}
    seen: list[Any] = []

    def watching(rows: Any) -> list[Answer]:
        seen.extend(rows)
        return indifferent(rows)

    oracle = Oracle(_AnyChange(), AnswerBook(watching))
    pool = Pool(oracle, RECIPES[name].search(), services)
    found = list(pool.attack(passages, seed=0, limits=Limits(max_queries=200)))
    assert len(found) == len(examples)
    assert [flaws for row in seen if (flaws := asked.find_flaws(row))] == []
    if problem == "ner":
        sizes = {len(json.loads(row["target"])["tags"]) for row in examples}
        assert {len(json.loads(row["target"])["tags"]) for row in seen} <= sizes


@pytest.mark.parametrize("name", ["invisible", "homoglyph"])
def test_chinese_is_attacked_character_by_character(name: str) -> None:
    passage = passage_of("\u8fd9\u90e8\u7535\u5f71\u5f88\u597d")
    assert len(passage) == 6
    found = attacked(name, [passage], max_queries=50)["0"]
    assert found.status in ("wrong", "unknown")
