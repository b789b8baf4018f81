"""Every problem's traffic is watched through its own scores, beside a reference of the same form."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from pipeline_steps.monitoring.monitored_rows import answer_text, monitored_rows, text_of
from pipeline_steps.monitoring.reference import Labelled, make_reference
from pipeline_steps.monitoring.scores import ScoredRows, freeze
from pipeline_steps.monitoring.window import WindowPolicy, judge_window, start_watch
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.problems.writing import Written
from pipeline_steps.serving.redaction import Redactor
from pipeline_steps.traffic_rows import LoggedPrediction, TrafficRow

POLICY = WindowPolicy(model_name="m", version=1, threshold=1e5)
START = datetime(2026, 3, 1, tzinfo=UTC)
WORDS = ["the", "river", "ran", "past", "an", "old", "mill", "where", "two", "men", "sold", "bread"]


def span(rng, context, n):
    words = context.split()
    first = int(rng.integers(0, max(len(words) - n, 1)))
    return " ".join(words[first : first + n])


def made(problem, rng, *, longer=1):
    """Return a request, what a service answers, and what a predictions file holds of it."""
    context = " ".join([*rng.choice(WORDS, 14), str(rng.integers(10**9))])
    score = float(rng.beta(8, 2))
    n = int(rng.integers(1, 4)) * longer
    if problem == "question_answering":
        said = span(rng, context, n)
        request = {"question": "what ran past it?", "context": context}
        answer = {"answer": said, "start": int(rng.integers(10**longer)), "score": score}
        return request, answer, json.dumps(said)
    if problem == "ner":
        tokens = context.split()
        tags = ["O"] * len(tokens)
        for place in rng.choice(len(tokens), n, replace=False):
            tags[place] = "B-PERSON" if longer == 1 else "B-CREATIVE-WORK"
        answer = {"tokens": tokens, "tags": tags, "entities": [], "score": score}
        return {"tokens": tokens}, answer, json.dumps(tags)
    said = span(rng, context, n)
    return {"text": context}, {"summary": said, "score": score}, Written(said).as_json()


def reference(problem, rng, n=600):
    rows = [made(problem, rng) for _ in range(n)]
    kept = [Redactor(()).kept(request, said) for request, said, _ in rows]
    scored = ScoredRows(
        [text_of(example) for example, _ in kept],
        [answer_text(get_problem(problem).answer(recorded)) for *_, recorded in rows],
        np.array([said["score"] for _, said, _ in rows]),
    )
    learnt = [text_of(made(problem, rng)[0]) for _ in range(200)]
    return make_reference(
        scored,
        Labelled((rng.random(n) < 0.1).astype(float)),
        freeze(learnt, None),
        checkpoint_digest="c" * 64,
        dataset_digest="d" * 64,
    )


def traffic(problem, rng, n=300, *, longer=1, without_scores=False):
    rows = []
    for i in range(n):
        request, said, _ = made(problem, rng, longer=longer)
        example, output = Redactor(()).kept(request, said)
        logged = LoggedPrediction(
            prediction_id=f"p{i}",
            request_id=f"r{i}",
            created_at=START + timedelta(seconds=i),
            model_name="m",
            version=1,
            example=example,
            output=output,
            confidence=None if without_scores else said["score"],
        )
        rows.append(TrafficRow(sequence=i + 1, prediction=logged))
    return monitored_rows(rows, ())


def judge(anchor, rows):
    return judge_window(rows, start_watch(anchor, POLICY), anchor, anchor, POLICY)


PROBLEMS = ("question_answering", "ner", "summarisation")


@pytest.fixture(scope="module", params=PROBLEMS)
def watched(request):
    return request.param, reference(request.param, np.random.default_rng(10))


def test_usual_answers_are_no_drift(watched) -> None:
    problem, anchor = watched
    report = judge(anchor, traffic(problem, np.random.default_rng(21)))
    assert report.status == "no_drift", report.scores
    assert {f.name for f in report.scores if f.drifted is False} >= {
        "uncertainty", "surprise", "length", "answer_length",
    }  # fmt: skip


def test_longer_answers_are_drift_of_the_answers(watched) -> None:
    problem, anchor = watched
    report = judge(anchor, traffic(problem, np.random.default_rng(2), longer=3))
    assert report.status == "drift"
    drifted = {f.name for f in report.scores if f.drifted}
    assert "answer_length" in drifted
    assert "surprise" not in drifted


def test_answers_without_their_usual_score_are_not_testable(watched) -> None:
    problem, anchor = watched
    report = judge(anchor, traffic(problem, np.random.default_rng(3), without_scores=True))
    assert report.status == "not_testable"
    assert "uncertainty" in report.notes[0]


def test_entropy_of_problems_without_probabilities_says_why_it_is_not_tested(watched) -> None:
    problem, anchor = watched
    report = judge(anchor, traffic(problem, np.random.default_rng(4)))
    [entropy] = [f for f in report.scores if f.name == "entropy"]
    assert entropy.drifted is None
    assert entropy.reason == "0 rows of the reference have it, 100 are needed"


def test_a_conversation_reads_the_same_as_a_list_and_as_json() -> None:
    messages = [{"role": "user", "content": "grüezi"}, {"role": "assistant", "content": "hello"}]
    as_text = json.dumps(messages, ensure_ascii=False)
    assert text_of({"messages": messages}) == text_of({"messages": as_text})
    assert "grüezi" in text_of({"messages": as_text})
    assert text_of({"messages": "no JSON"}) == "no JSON"


def test_where_a_span_stands_is_no_part_of_the_answer() -> None:
    assert answer_text({"answer": "Bern", "start": 7}) == answer_text({"answer": "Bern"})
