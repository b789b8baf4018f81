"""Laws of what attacks say of rows: verdicts hold when read anew, and the exact model decides."""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_victims import LABELS, SERVICES, keyword_victim, passage_of

from flows.attack_goals import offer_of
from pipeline_steps.evaluation.attacks.attack import Outcome, attack_rows, row_read
from pipeline_steps.evaluation.attacks.catalog import ATTACKS, DISTRACTORS
from pipeline_steps.evaluation.attacks.constraints import MaxEditDistance, MinWordLength
from pipeline_steps.evaluation.attacks.exhaustive import Exhaustive
from pipeline_steps.evaluation.attacks.genetic import Genetic, _crossed
from pipeline_steps.evaluation.attacks.goals import Answer, Judged, WrongLabel
from pipeline_steps.evaluation.attacks.greedy import Beam
from pipeline_steps.evaluation.attacks.keyboard_moves import InnerEdits
from pipeline_steps.evaluation.attacks.oracle import AnswerBook, Oracle
from pipeline_steps.evaluation.attacks.passage import Edits, Offer, Passage
from pipeline_steps.evaluation.attacks.recipes import RECIPES
from pipeline_steps.evaluation.attacks.search import Attempt, Search
from pipeline_steps.evaluation.attacks.space import OpenSpace, Space
from pipeline_steps.judging_params import AttackParams
from pipeline_steps.problems.text_classification import TextClassification

EVERY_RECIPE = pytest.mark.parametrize("name", sorted({*ATTACKS} - {*DISTRACTORS}))
WORDS = ("good", "great", "Lovely", "film", "the", "not", "plot", "really", "dull")
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join)
GOAL = WrongLabel(LABELS)


def rows_of(several: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"example_id": str(i), "text": text, "text_pair": None, "target": None, "label": "good"}
        for i, text in enumerate(several)
    ]


def moody(rows: Sequence[Any]) -> list[Answer]:
    """Answer by a hash of the text: every change matters, and none in a way to be guessed."""
    found = []
    for row in rows:
        digest = hashlib.blake2b(row["text"].encode(), digest_size=4).digest()
        share = int.from_bytes(digest, "little") / 2**32
        probabilities = np.array([1 - share, share])
        found.append(Answer("good", LABELS[int(share >= 0.05)], share, probabilities))
    return found


def mistaken(rows: Sequence[Any]) -> list[Answer]:
    """Answer the other label than the exact model does, as surely."""
    turned = []
    for row, answer in zip(rows, keyword_victim(rows), strict=True):
        assert answer.probabilities is not None
        shares = answer.probabilities[::-1]
        said = LABELS[int(shares.argmax())]
        turned.append(Answer(row["label"], said, float(shares.max()), shares))
    return turned


def outcome(
    search: Search, several: Sequence[str], victim: Any, scout: Any = None, name: str = ""
) -> Outcome:
    scouted = None if scout is None else AnswerBook(scout)
    oracle = Oracle(GOAL, AnswerBook(victim), scouted)
    services = {need: SERVICES[need] for need in (ATTACKS[name].services() if name else ())}
    rows = rows_of(several)
    return attack_rows(rows, offered(name), oracle, search, seed=0, services=services)


def offered(name: str) -> Offer:
    return offer_of(TextClassification(), name, AttackParams())


@EVERY_RECIPE
@settings(max_examples=12)
@given(several=st.lists(texts, min_size=1, max_size=4), moods=st.booleans(), scouted=st.booleans())
def test_a_row_is_said_to_be_broken_exactly_if_its_text_breaks_when_it_is_read_anew(
    name: str, several: list[str], moods: bool, scouted: bool
) -> None:
    victim = moody if moods else keyword_victim
    scout = mistaken if scouted else None
    found = outcome(ATTACKS[name].search(), several, victim, scout, name)
    for row, result in zip(rows_of(several), found.results, strict=True):
        read = row_read(row, offered(name), result)
        (answer,) = victim([read])
        assert read["text"] == result.perturbed
        assert GOAL.judge(answer).broken == (result.status in ("broken", "wrong"))
        assert answer.predicted == result.prediction


@EVERY_RECIPE
@settings(max_examples=8)
@given(several=st.lists(texts, min_size=1, max_size=4))
def test_a_scout_that_is_always_mistaken_never_has_the_last_word(
    name: str, several: list[str]
) -> None:
    found = outcome(ATTACKS[name].search(), several, keyword_victim, mistaken, name)
    alone = keyword_victim(rows_of(several))
    for clean, last, result in zip(alone, found.last, found.results, strict=True):
        assert (result.status == "wrong") == (clean.predicted != "good")
        assert (result.status == "broken") == (
            clean.predicted == "good" and last.predicted != "good"
        )


def alarmist(rows: Sequence[Any]) -> list[Answer]:
    """Take every text for broken, and none for more so than another."""
    return [Answer(row["label"], "bad", 0.9, np.array([0.9, 0.1])) for row in rows]


def test_a_false_alarm_of_the_scout_does_not_end_a_search() -> None:
    """The first candidates change words that do not matter, and the scout cries at each."""
    text = "really plot film Lovely"
    for name in ("typos_proof", "pruthi"):
        found = outcome(RECIPES[name].search(), [text], keyword_victim, alarmist).results[0]
        assert (found.status, found.prediction) == ("broken", "bad")


TINY = Space(InnerEdits(insertions=False), (MinWordLength(4),), complete=True)


@settings(max_examples=60)
@given(text=texts, max_edits=st.integers(1, 2))
def test_unbroken_is_what_brute_force_says_too_where_there_is_something_to_try(
    text: str, max_edits: int
) -> None:
    found = outcome(Exhaustive(TINY, max_edits=max_edits, cap=100_000), [text], moody).results[0]
    if found.status == "wrong":
        return
    passage = passage_of(text)
    options = [
        [word.text, *TINY.source(passage, i, random.Random(0))]  # type: ignore[operator]
        for i, word in enumerate(passage.words)
    ]
    broken = any(
        answer.predicted != "good"
        for news in itertools.product(*options)
        if sum(new != word.text for new, word in zip(news, passage.words, strict=True)) <= max_edits
        and all(
            new == word.text or len(word.text) >= 4
            for new, word in zip(news, passage.words, strict=True)
        )
        for answer in moody([passage.changed(dict(enumerate(news)))])
    )
    nothing = all(len(several) == 1 for several in options)
    assert found.unchangeable == nothing
    assert found.status == ("broken" if broken else "unknown" if nothing else "unbroken")


def asked_by(search: Search, passage: Passage, seed: int) -> list[list[Edits]]:
    """Return the candidates of every round of a search that nothing breaks."""
    generator = random.Random(seed)
    searching = search(Attempt(passage, Judged(broken=False, harm=0.0), generator))
    rounds: list[list[Edits]] = []
    try:
        ask = next(searching)
        while True:
            rounds.append(list(ask.candidates))
            replies = [Judged(broken=False, harm=generator.random()) for _ in ask.candidates]
            ask = searching.send(replies)
    except StopIteration:
        return rounds


@settings(max_examples=30)
@given(text=texts, seed=st.integers(0, 99), width=st.integers(1, 3))
def test_every_round_of_a_beam_changes_one_more_word(text: str, seed: int, width: int) -> None:
    rounds = asked_by(Beam(TINY, width=width, max_edits=3), passage_of(text), seed)
    for number, candidates in enumerate(rounds, start=1):
        assert {len(edits) for edits in candidates} == {number}


@given(seed=st.integers(0, 99))
def test_a_child_of_two_parents_keeps_what_both_keep(seed: int) -> None:
    draw = random.Random(seed)
    passage = passage_of("good great lovely film plot really")
    space = Space(InnerEdits(insertions=False), (MaxEditDistance(3),))
    several = [list(space.source(passage, i, draw)) for i in range(6)]  # type: ignore[operator]
    opened = OpenSpace(space, passage, tuple(map(tuple, several)))
    first, second = draw.sample(range(6), 3), draw.sample(range(6), 3)
    mother, father = ({i: draw.choice(several[i]) for i in words} for words in (first, second))
    parents = [p for p in (mother, father) if space.keeps(passage, p)]
    if len(parents) == 2:
        child = _crossed(mother, father, opened=opened, generator=draw)
        assert space.keeps(passage, child)
        assert all(child[i] in (mother.get(i), father.get(i)) for i in child)


@settings(max_examples=40)
@given(seed=st.integers(0, 99))
def test_what_a_population_crosses_keeps_the_constraints(seed: int) -> None:
    """Two parents that keep a limit may cross to a child that does not."""
    space = Space(InnerEdits(insertions=False), (MaxEditDistance(2),))
    passage = passage_of("good great lovely film plot really")
    rounds = asked_by(Genetic(space, population=6, generations=4), passage, seed)
    assert rounds
    assert all(space.keeps(passage, edits) for candidates in rounds for edits in candidates)
