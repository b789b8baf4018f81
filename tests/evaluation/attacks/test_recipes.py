"""Moves and scores of the attacks against cases worked out by hand from their papers."""

from __future__ import annotations

import random

import numpy as np
import pytest
from toy_victims import LABELS, SERVICES, attacked, keyword_victim, passage_of

from pipeline_steps.evaluation.attacks.constraints import (
    MaxChangedShare,
    MaxChangedWords,
    MinWordLength,
    NoStopWords,
    UsableRow,
)
from pipeline_steps.evaluation.attacks.exhaustive import size
from pipeline_steps.evaluation.attacks.goals import WrongLabel
from pipeline_steps.evaluation.attacks.greedy import Greedy
from pipeline_steps.evaluation.attacks.keyboard_moves import (
    InnerEdits,
    TextBuggerMoves,
    slips_beside,
)
from pipeline_steps.evaluation.attacks.oracle import AnswerBook, Oracle
from pipeline_steps.evaluation.attacks.pool import Pool
from pipeline_steps.evaluation.attacks.pwws import softmax
from pipeline_steps.evaluation.attacks.recipes import RECIPES
from pipeline_steps.evaluation.attacks.space import Space
from pipeline_steps.evaluation.attacks.spelling import DeepWordBugMoves
from pipeline_steps.evaluation.attacks.substitution import Neighbours
from pipeline_steps.evaluation.attacks.unseen import Invisible
from pipeline_steps.noise.word_forms import are_opposites, like_cased, same_lemma


class Fixed(random.Random):
    """Draws the same place and the same letter always."""

    def __init__(self, place: int) -> None:
        super().__init__(0)
        self.place = place

    def randrange(self, *args: int) -> int:  # type: ignore[override]
        return self.place

    def choice(self, several: object) -> str:  # type: ignore[override]
        return "x"


def test_the_four_moves_of_deepwordbug_are_those_of_the_paper() -> None:
    """Swap, substitution, deletion and insertion, at the second of five letters."""
    moves = DeepWordBugMoves()(passage_of("place"), 0, Fixed(1))
    assert list(moves) == ["palce", "pxace", "pace", "pxlace"]


def test_inner_edits_of_a_word_are_all_that_the_paper_allows() -> None:
    """Of ``card``: one inner swap, two losses, and the keys beside a (s) and r (e, t)."""
    moves = InnerEdits(insertions=False)(passage_of("card"), 0, random.Random(0))
    assert list(moves) == ["crad", "crd", "cad", "csrd", "caed", "catd"]
    assert list(InnerEdits()(passage_of("car"), 0, random.Random(0))) == []


def test_textbugger_moves_keep_the_ends_of_a_word_and_blank_lose_and_swap_inside() -> None:
    for seed in range(20):
        blank, lost, swapped, like, key = TextBuggerMoves()(
            passage_of("place"), 0, random.Random(seed)
        )
        assert blank.replace(" ", "") == "place"
        assert {blank[0], lost[0], swapped[0]} == {"p"}
        assert {blank[-1], lost[-1], swapped[-1]} == {"e"}
        assert (len(lost), sorted(swapped)) == (4, sorted("place"))
        assert like in ("p1ace", "pl@ce", "plac3")
        assert sum(a != b for a, b in zip(key, "place", strict=True)) == 1


def test_a_character_of_a_script_without_blanks_is_doubled_or_its_neighbour_slips_in() -> None:
    """Of three characters that touch, the last has its neighbour before it; "ab" is apart."""
    passage = passage_of("\u771f\u7684\u597d ab \u597d")
    slips = [list(slips_beside(passage, word)) for word in range(len(passage))]
    assert slips == [
        ["\u771f\u771f", "\u7684", "\u7684\u771f"],
        ["\u7684\u7684", "\u597d", "\u597d\u7684"],
        ["\u597d\u597d", "\u7684", "\u7684\u597d"],
        [],
        ["\u597d\u597d"],
    ]


@pytest.mark.parametrize("recipe", ["deepwordbug", "pruthi", "textbugger_characters"])
def test_characters_without_blanks_are_misspelt_too(recipe: str) -> None:
    found = attacked(recipe, [passage_of("\u771f\u7684\u5f88\u597d", "bad")])["0"]
    assert not found.unchangeable
    assert found.n_queries >= 4 * 2


def test_an_invisible_character_stands_inside_a_word_or_behind_a_single_one() -> None:
    inside = list(Invisible("\u200b")(passage_of("ab"), 0, random.Random(0)))
    behind = list(Invisible("\u200b")(passage_of("\u597d"), 0, random.Random(0)))
    assert (inside, behind) == (["a\u200bb"], ["\u597d\u200b"])


def test_the_weights_of_pwws_are_the_softmax_of_saliency() -> None:
    """By hand: saliencies 0, log 2 and log 5 weigh 1, 2 and 5 of 8."""
    weights = softmax(np.log([1.0, 2.0, 5.0]))
    np.testing.assert_allclose(weights, [1 / 8, 2 / 8, 5 / 8])


def test_pwws_replaces_the_words_in_the_order_of_weight_times_gain() -> None:
    """By hand: without its word, the answer is sigmoid of 0.7 - 0.5 and 1.5 - 0.5.

    So ``great`` has the greater saliency and the greater gain, and goes first; what is left is
    0.7 - 0.5 > 0, still good, and the second replacement breaks it. Three words are masked, three
    replacements are asked about (film has one) and two are made: eight queries.
    """
    found = attacked("pwws", [passage_of("lovely great film")])["0"]
    assert (found.status, found.edits) == ("broken", {1: "grand", 0: "pretty"})
    assert list(found.edits) == [1, 0]
    assert found.n_queries == 3 + 3 + 2


def test_a_row_that_only_a_probe_of_the_ranking_breaks_is_not_broken() -> None:
    """Without ``good`` the answer turns; the budget ends before a replacement is asked about."""
    found = attacked("textfooler_strict", [passage_of("Nice good")], max_queries=1)["0"]
    assert (found.status, found.edits) == ("unknown", {})


def test_a_row_that_survives_every_typo_is_unbroken_and_one_too_big_is_unknown() -> None:
    proven = attacked("typos_proof", [passage_of("good great great film")])["0"]
    assert proven.status == "unbroken"
    assert attacked("typos_proof", [passage_of("good great great film" * 200)])["0"].status == (
        "unknown"
    )
    assert attacked("typos_proof", [passage_of("a good film")])["0"].status == "broken"
    cut = attacked("typos_proof", [passage_of("good great great film")], max_queries=5)["0"]
    assert cut.status == "unknown"


@pytest.mark.parametrize("text", ["It is so bad", "\u771f\u7684\u5f88\u597d"])
def test_a_row_in_which_nothing_may_be_changed_is_neither_proven_nor_searched(text: str) -> None:
    """No word of it has four letters, so not one typing mistake is in the space of the proof."""
    found = attacked("typos_proof", [passage_of(text, "bad")])["0"]
    assert (found.status, found.unchangeable, found.n_queries) == ("unknown", True, 0)


def test_rows_whose_changes_were_not_tried_are_not_unchangeable() -> None:
    long = attacked("typos_proof", [passage_of("good great great film" * 200)])["0"]
    cut = attacked("typos_proof", [passage_of("good great great film")], max_queries=0)["0"]
    reduced = attacked("input_reduction", [passage_of("good")])["0"]
    assert not any(found.unchangeable for found in (long, cut, reduced))


def test_where_all_changes_are_too_far_from_the_row_nothing_was_tried() -> None:
    """Only the word film has a neighbour, and a ranking that masks it is no change."""
    space = Space(Neighbours(), min_similarity=0.99)
    oracle = Oracle(WrongLabel(LABELS), AnswerBook(keyword_victim))
    pool = Pool(oracle, Greedy(space), SERVICES)
    (found,) = pool.attack([passage_of("a film", "bad")], seed=0)
    assert (found.unchangeable, found.n_queries) == (True, 1)


def test_a_search_that_a_scout_answered_proves_nothing() -> None:
    passage = passage_of("good great great film")
    oracle = Oracle(WrongLabel(LABELS), AnswerBook(keyword_victim), AnswerBook(keyword_victim))
    (found,) = Pool(oracle, RECIPES["typos_proof"].search()).attack([passage], seed=0)
    assert found.status == "unknown"


def test_the_strong_search_of_a_cascade_is_spent_on_survivors_alone() -> None:
    easy = attacked("typos_cascade", [passage_of("a good film")])["0"]
    assert easy.status == "broken"
    assert easy.n_queries < 30


def test_no_search_of_a_cascade_changes_more_words_than_it_may() -> None:
    """Five keywords hold the answer; to break it takes the loss of all of them."""
    found = attacked("typos_cascade", [passage_of("good great good great good")])["0"]
    assert found.status == "unknown"
    assert len(found.edits) <= 3


def test_the_number_of_changes_is_that_of_counting_them() -> None:
    """Words with 2, 0 and 3 options: 5 changes of one word, and 6 of two."""
    options = (("a", "b"), (), ("c", "d", "e"))
    assert (size(options, 1), size(options, 2), size(options, 3)) == (5, 11, 11)


@pytest.mark.parametrize(
    ("rule", "kept", "broken"),
    [
        (NoStopWords(), {1: "x"}, {0: "x"}),
        (MinWordLength(4), {1: "x"}, {0: "x"}),
        (MaxChangedWords(1), {1: "x"}, {1: "x", 0: "y"}),
        (MaxChangedShare(0.5), {1: "x"}, {1: "x", 0: "y"}),
        (UsableRow(), {0: ""}, {0: "", 1: "", 2: ""}),
    ],
)
def test_a_constraint_tells_what_it_allows_from_what_it_forbids(
    rule: object, kept: dict[int, str], broken: dict[int, str]
) -> None:
    passage = passage_of("the good film")
    assert rule(passage, kept)  # type: ignore[operator]
    assert not rule(passage, broken)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("word", "form"),
    [
        ("film", "films"),
        ("stop", "stopped"),
        ("carry", "carries"),
        ("try", "tries"),
        ("make", "making"),
        ("Big", "bigger"),
    ],
)
def test_inflections_are_forms_of_one_word(word: str, form: str) -> None:
    assert same_lemma(word, form)
    assert not same_lemma(word, "tree")


@pytest.mark.parametrize(
    ("word", "opposite"),
    [
        ("happy", "unhappy"),
        ("useful", "useless"),
        ("good", "bad"),
        ("slow", "faster"),
        ("hard", "easier"),
    ],
)
def test_opposites_are_told_by_their_spelling_or_a_short_list(word: str, opposite: str) -> None:
    assert are_opposites(word, opposite)
    assert are_opposites(opposite, word)
    assert not are_opposites(word, "tree")


def test_a_replacement_takes_the_case_of_the_word() -> None:
    cased = [like_cased("movie", word) for word in ("film", "Film", "FILM", "I")]
    assert cased == ["movie", "Movie", "MOVIE", "Movie"]


def test_where_words_stand_after_edits_is_where_they_are_found() -> None:
    passage = passage_of("the good film, good")
    edits = {0: "", 1: "decent", 3: "x"}
    text = passage.text(edits)
    found = [text[start:end] for _, start, end in passage.spans(edits)]
    assert found == ["", "decent", "film", "x"]


@pytest.mark.parametrize("budget", [3, 5, None])
def test_a_loss_that_turns_the_answer_is_no_break_of_an_input_reduction(budget: int | None) -> None:
    found = attacked("input_reduction", [passage_of("a good film")], max_queries=budget)["0"]
    assert (found.status, found.last.predicted) == ("unknown", "good")
