"""Attacks on rows of every problem, against victims of a few lines."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from builders import STRUCTURED, structured_examples
from hypothesis import given
from hypothesis import strategies as st

from flows.attack_goals import goal_of, offer_of
from pipeline_steps.errors import ConfigurationError
from pipeline_steps.evaluation.attacks.attack import Outcome, attack_rows, drawn_rows
from pipeline_steps.evaluation.attacks.attackable import Attackable
from pipeline_steps.evaluation.attacks.catalog import ATTACKS
from pipeline_steps.evaluation.attacks.distractors import Distractors
from pipeline_steps.evaluation.attacks.drift import BesideClean, Drift, row_key, word_overlap
from pipeline_steps.evaluation.attacks.goals import Answer, Judged
from pipeline_steps.evaluation.attacks.oracle import AnswerBook, Oracle
from pipeline_steps.evaluation.attacks.passage import Passage
from pipeline_steps.judging_params import AttackParams
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.problems.distracting_sentences import false_answer, other_question, statement
from pipeline_steps.problems.ner import tokens_and_tags
from pipeline_steps.problems.question_answering import answers, target_of
from pipeline_steps.problems.relation_extraction import spans
from pipeline_steps.problems.response_selection import candidates

Say = Callable[[dict[str, Any]], tuple[str, str]]
LABELS = ("Cause(e1,e2)", "Cause(e2,e1)")
NOISE = st.sampled_from(["x{}", "", "{}{}", "{} and more", "{}"])


def rows_of(problem: str, n: int = 6) -> list[dict[str, Any]]:
    return [{"example_id": str(i), **row} for i, row in enumerate(structured_examples(problem, n))]


def tagging(row: dict[str, Any]) -> tuple[str, str]:
    """Tag a pair of words that it knows by heart, where the message is announced."""
    tokens, tags = tokens_and_tags(row["target"])
    said = ["O"] * len(tokens)
    for first, second, kind in (("good", "film", "work"), ("bad", "loan", "debt")):
        if first in tokens and second in tokens and "message" in tokens:
            said[tokens.index(first)] = f"B-{kind}"
            said[tokens.index(second)] = f"I-{kind}"
    return json.dumps(tags), json.dumps(said)


def reading(row: dict[str, Any]) -> tuple[str, str]:
    """Answer with the word before the last "was", and nothing where the question is "that"."""
    words = row["text"].split()
    asked = row["text_pair"].split()
    known = "was" in words and asked and asked[0] in ("is", "does")
    at = len(words) - 1 - words[::-1].index("was") if known else 0
    return json.dumps([said for said, _ in answers(row["target"])]), json.dumps(
        words[at - 1] if known else ""
    )


def relating(row: dict[str, Any]) -> tuple[str, str]:
    return row["label"], LABELS["not" in row["text"].split()]


def marking(row: dict[str, Any]) -> tuple[str, str]:
    words = row["text"].split()
    said = [f"is {word}" for word in ("good", "bad") if word in words]
    return json.dumps(json.loads(row["target"])["labels"]), json.dumps(said)


def writing(row: dict[str, Any]) -> tuple[str, str]:
    """Write the reference as long as the text holds nothing but words of its vocabulary."""
    text = row["text"] if "messages" not in row["target"] else row["target"].partition("refer")[0]
    known = {"card", "transfer", "refund", "pin", "fee", "login", "address", "loan", "the", "is"}
    known |= {"very", "user", "assistant", "role", "content", "messages", "my", "it", "bad"}
    found = json.loads(row["target"])["references"]
    words = set("".join(c if c.isalpha() else " " for c in text).split())
    written = found[0] if words <= known else "something else entirely"
    return json.dumps(found), json.dumps({"text": written, "nll": 1.0, "n_tokens": 3})


def choosing(row: dict[str, Any]) -> tuple[str, str]:
    """Choose the reply with a word of the question, the first where there is none."""
    replies, right = candidates(row["target"])
    words = set(row["text"].replace(":", " ").split())
    order = sorted(range(len(replies)), key=lambda i: (replies[i].split()[1] not in words, i))
    return json.dumps(right), json.dumps(order)


SAYS: dict[str, Say] = {
    "ner": tagging,
    "question_answering": reading,
    "relation_extraction": relating,
    "multi_label_classification": marking,
    "translation": writing,
    "summarisation": writing,
    "dialogue": writing,
    "response_selection": choosing,
}
KNOWN = frozenset(
    word for name in STRUCTURED for row in structured_examples(name, 12)
    for word in f"{row['text']} {row['text_pair']}".split()
)  # fmt: skip


def victim(problem: str) -> Callable[[Sequence[Any]], list[Answer]]:
    def answered(rows: Sequence[Any]) -> list[Answer]:
        found = []
        for row in rows:
            assert list(get_problem(problem).find_flaws(row)) == []
            truth, said = SAYS[problem](row)
            shares = None
            if problem == "relation_extraction":
                shares = np.array([0.9 if said == label else 0.1 for label in LABELS])
            words = row["text"].split()
            sure = sum(word in KNOWN for word in words) / len(words)
            found.append(Answer(truth, said, sure, shares))
        return found

    return answered


def attacked(
    problem: str, rows: list[dict[str, Any]], recipe: str = "textbugger_characters", **settings: Any
) -> Outcome:
    params, asked = AttackParams(**settings), get_problem(problem)
    said = victim(problem)
    book = AnswerBook(said)
    if params.goal == "drift":
        book = AnswerBook(BesideClean(said, rows), key=row_key)
    oracle = Oracle(goal_of(asked, LABELS, params), book)
    offer = offer_of(asked, recipe, params)
    return attack_rows(rows, offer, oracle, ATTACKS[recipe].search(), seed=0)


@pytest.mark.parametrize("problem", sorted(SAYS))
def test_rows_of_every_problem_are_broken_and_wrong_ones_are_not_counted(problem: str) -> None:
    rows = rows_of(problem)
    said = victim(problem)(rows)
    goal = goal_of(get_problem(problem), LABELS, AttackParams())
    wrong = [goal.judge(answer).broken for answer in said]
    outcome = attacked(problem, rows)
    statuses = [result.status for result in outcome.results]
    assert [status == "wrong" for status in statuses] == wrong
    assert "broken" in statuses
    for result, last in zip(outcome.results, outcome.last, strict=True):
        assert (result.status == "broken") == (goal.judge(last).broken and result.status != "wrong")


def test_a_tag_stays_with_its_word_and_entities_or_context_can_be_frozen() -> None:
    rows = [row for row in rows_of("ner", 12) if "message" in row["text"]]
    for words in ("context", "named"):
        offer = Attackable(get_problem("ner"), words)  # type: ignore[arg-type]
        for row in rows:
            tokens, tags = tokens_and_tags(row["target"])
            free = {word.text for word in Passage.of(row, offer).words}
            entity = {t for t, tag in zip(tokens, tags, strict=True) if tag != "O"}
            assert free == (entity if words == "named" else set(tokens) - entity)
        outcome = attacked("ner", rows, words=words)
        assert {result.status for result in outcome.results} == {"broken"}


def test_what_entities_and_relations_name_stays_where_nothing_else_is_said() -> None:
    usual = {"ner": "context", "relation_extraction": "context", "question_answering": "all"}
    for name, words in usual.items():
        problem = get_problem(name)
        said = Attackable(problem, words)  # type: ignore[arg-type]
        for row in rows_of(name):
            found = Passage.of(row, offer_of(problem, "pruthi", AttackParams()))
            every = Passage.of(row, offer_of(problem, "pruthi", AttackParams(words="all")))
            assert found.words == Passage.of(row, said).words
            assert (found.words == every.words) == (words == "all")


def test_the_bound_says_how_many_entities_must_be_lost() -> None:
    (row,) = rows_of("ner", 1)
    tokens, tags = tokens_and_tags(row["target"])
    double = {"tokens": [*tokens, "bad", "loan"], "tags": [*tags, "B-debt", "I-debt"]}
    row = {**row, "text": " ".join(double["tokens"]), "target": json.dumps(double)}
    half, none = (attacked("ner", [row], bound=b, words="named") for b in (0.7, 0.0))
    assert half.results[0].n_changed == 1 < none.results[0].n_changed
    assert half.results[0].status == none.results[0].status == "broken"


def test_spans_of_relations_follow_their_words_and_can_be_frozen() -> None:
    rows = rows_of("relation_extraction")
    before = [[row["text"][a:b] for a, b in spans(row["target"])] for row in rows]
    offer = Attackable(get_problem("relation_extraction"), "context")
    for row, named in zip(rows, before, strict=True):
        passage = Passage.of(row, offer)
        changed = passage.changed(dict.fromkeys(range(len(passage)), "something"))
        assert [changed["text"][a:b] for a, b in spans(changed["target"])] == named
    outcome = attacked("relation_extraction", rows, words="context")
    assert [r.status for r in outcome.results] == ["unknown", "broken"] * 3


@given(mark=NOISE, repeated=st.booleans(), unanswerable=st.booleans())
def test_answers_are_found_where_the_target_says_whatever_is_changed_around_them(
    mark: str, repeated: bool, unanswerable: bool
) -> None:
    text = "the old card is here and the new card there"
    found = [("card", 8), ("old card", 4)] + [("card", 33)] * repeated
    target = target_of([] if unanswerable else found)
    row = {"text": text, "text_pair": "which card ?", "target": target, "label": None}
    problem = get_problem("question_answering")
    changed = Attackable(problem).noisy(row, lambda said, _: mark.format(said, said))
    assert problem.find_flaws(changed) == []
    assert [a for a, _ in answers(changed["target"])] == [a for a, _ in answers(target)]


def test_what_the_noise_suites_change_of_a_question_stays_as_it_was() -> None:
    (row,) = rows_of("question_answering", 1)
    noisy = get_problem("question_answering").noisy(row, lambda text, _: text.upper())
    assert (noisy["text"], noisy["text_pair"]) == (row["text"], row["text_pair"].upper())


@pytest.mark.parametrize("words", ["context", "named"])
def test_question_and_context_are_attacked_apart(words: str) -> None:
    rows = rows_of("question_answering", 3)
    for result, row in zip(attacked("question_answering", rows, words=words).results, rows,
                           strict=True):  # fmt: skip
        assert result.status == "broken"
        same, other = row["text_pair"], row["text"]
        if words == "named":
            same, other = other, same
        assert same in result.perturbed
        assert other not in result.perturbed


@pytest.mark.parametrize("problem", ["ner", "relation_extraction", "question_answering"])
def test_what_an_attack_leaves_alone_stands_in_the_texts_that_are_told(problem: str) -> None:
    """They lacked answers, entities and spans, and those of other words than asked for."""
    rows = rows_of(problem)
    for result, row in zip(attacked(problem, rows).results, rows, strict=True):
        whole = [text for text in (row["text"], row["text_pair"]) if text]
        assert result.original == " ".join(whole)
        assert (result.perturbed == result.original) == (not result.edited)


def test_a_distractor_fools_a_reader_of_the_last_sentence_and_holds_no_true_answer() -> None:
    text = "Tesla was born in 1856 and Smiljan was his home"
    target = target_of([("Smiljan", text.index("Smiljan"))])
    row = {"example_id": "0", "text": text, "text_pair": "is what was the home of Tesla in 1856 ?",
           "target": target, "label": None}  # fmt: skip
    outcome = attacked("question_answering", [row], "distractor")
    (result,) = outcome.results
    assert result.status == "broken"
    assert result.perturbed.startswith(f"{text} ")
    assert "smiljan" not in result.perturbed.removeprefix(text).lower()
    assert result.n_queries == 10


QUESTIONS = st.sampled_from([
    "Who wrote the novel in 1999?", "When did Anna Bell land in Oslo?", "is it so", "What?", "How?",
    "Which river is the longest?", "how many people live in Paris?", "Where was it?",
])  # fmt: skip


@given(question=QUESTIONS, answer=st.sampled_from(["Oslo", "1999", "the old man", ""]),
       seed=st.integers(0, 99))  # fmt: skip
def test_a_distractor_asks_of_something_else_and_keeps_the_row_valid(
    question: str, answer: str, seed: int
) -> None:
    generator = random.Random(seed)
    other = other_question(question, generator)
    assert other != question
    assert false_answer([answer] if answer else [], generator) != answer
    assert statement(other, "Veskar").endswith(".")
    text = f"here is {answer} ."
    target = target_of([(answer, 8)] if answer else [])
    row = {"example_id": "0", "text": text, "text_pair": question, "target": target, "label": None}
    problem = get_problem("question_answering")
    passage = Passage.of(row, offer_of(problem, "distractor", AttackParams()))
    for sentence in Distractors()(passage, 0, generator):
        changed = passage.changed({0: sentence})
        assert changed["text"] == text + sentence
        assert problem.find_flaws(changed) == []
        assert not answer or answer.lower() not in sentence.lower()


@pytest.mark.parametrize("problem", ["translation", "summarisation", "dialogue"])
def test_a_text_that_drifts_from_what_was_written_before_is_broken_without_a_truth(
    problem: str,
) -> None:
    outcome = attacked(problem, rows_of(problem), goal="drift")
    assert {result.status for result in outcome.results} == {"broken"}
    assert [word_overlap(json.loads(r.clean_prediction)["text"], json.loads(r.prediction)["text"])
            for r in outcome.results] == [0.0] * 6  # fmt: skip


def test_a_written_text_without_a_score_has_a_harm_that_can_be_compared() -> None:
    said = json.dumps({"text": "one two"})
    answer = Answer("", said, float("nan"), clean=said)
    assert Drift().judge(answer) == Judged(broken=False, harm=0.0)


def test_the_same_text_is_no_drift_and_no_row_is_wrong_before_whatever_the_bound() -> None:
    said, other = (json.dumps({"text": text}) for text in ("one two", "two one"))
    goal = Drift(1.0)
    assert not goal.lost(Answer("", said, 1.0, clean=said))
    assert goal.judge(Answer("", other, 1.0, clean=said)).broken
    assert not Drift(0.9).judge(Answer("", other, 1.0, clean=said)).broken


def test_a_target_label_is_the_only_one_that_counts_and_its_own_rows_are_not_attacked() -> None:
    rows = drawn_rows(rows_of("relation_extraction"), 6, 0, target=LABELS[0])
    outcome = attacked("relation_extraction", rows, target=LABELS[0])
    assert [(r.status, r.truth) for r in outcome.results] == [("broken", LABELS[1])] * 3
    assert {r.prediction for r in outcome.results} == {LABELS[0]}


@pytest.mark.parametrize(
    ("problem", "settings", "refusal"),
    [
        ("ner", {"target": "B-work"}, "has more than one label"),
        ("relation_extraction", {"target": "Effect"}, "is no label of the model"),
        ("ner", {"goal": "drift"}, "writes no text"),
        ("translation", {"words": "context"}, "name nothing"),
    ],
)
def test_what_a_problem_cannot_be_asked_for_is_refused(
    problem: str, settings: dict[str, Any], refusal: str
) -> None:
    with pytest.raises(ConfigurationError, match=refusal):
        attacked(problem, rows_of(problem), **settings)


def test_a_distractor_is_refused_where_there_is_no_question() -> None:
    with pytest.raises(ConfigurationError, match="there is none in ner"):
        attacked("ner", rows_of("ner"), "distractor")


@pytest.mark.parametrize("problem", STRUCTURED)
@given(seed=st.integers(0, 99))
def test_rows_of_every_problem_stay_valid_whatever_words_are_changed(
    problem: str, seed: int
) -> None:
    generator = random.Random(seed)
    asked = get_problem(problem)
    for row in rows_of(problem, 3):
        passage = Passage.of(row, Attackable(asked))
        words = [i for i in range(len(passage)) if generator.random() < 0.5]
        edits = {i: generator.choice(["", "zz", "a b", passage.words[i].text]) for i in words}
        changed = passage.changed(edits)
        assert list(asked.find_flaws(changed)) == []
        assert changed["label"] == row["label"]
