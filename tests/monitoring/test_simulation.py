"""Simulated traffic: the same seed gives the same rows, and a shift sets in as it is told to."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from builders import STRUCTURED, structured_examples

from pipeline_steps.errors import DataError
from pipeline_steps.monitoring.late_labels import late_label, raw_answer
from pipeline_steps.monitoring.losses import answer_losses
from pipeline_steps.monitoring.simulation import DRIFTS, Arrival, Stream, arrivals, moved_labels
from pipeline_steps.problem_defaults import COLUMNS
from pipeline_steps.problems.catalog import PROBLEMS, get_problem

START = datetime(2026, 10, 1, tzinfo=UTC)


def examples(word: str) -> list[dict[str, Any]]:
    kept = {"text_pair": None, "target": None}
    return [{"text": f"{word} {i}", "label": f"l{i % 4}", **kept} for i in range(50)]


BEFORE, AFTER = examples("old"), examples("new")


def played(drift: Any, *, after: list[dict] = AFTER, **settings: Any) -> list[Arrival]:
    stream = Stream(drift, rows=400, start=START, **settings)
    return list(arrivals(stream, BEFORE, after, get_problem("text_classification")))


@pytest.mark.parametrize("drift", DRIFTS)
def test_the_same_seed_gives_the_same_stream(drift: str) -> None:
    assert played(drift) == played(drift)
    assert [a.row for a in played(drift)] != [a.row for a in played(drift, seed=1)]


@pytest.mark.parametrize("drift", DRIFTS)
def test_nothing_shifts_before_the_onset_and_times_pass_evenly(drift: str) -> None:
    found = played(drift, onset=0.25, days=30.0)
    assert not any(arrival.shifted for arrival in found[:99])
    assert all(arrival.row in BEFORE for arrival in found[:99])
    assert (found[0].at, (found[-1].at - START).days) == (START, 30)
    assert all(a.at < b.at for a, b in pairwise(found))
    assert len({arrival.name for arrival in found}) == len(found)


@pytest.mark.parametrize("drift", DRIFTS)
def test_an_onset_at_the_end_is_a_stream_without_a_shift(drift: str) -> None:
    assert not any(arrival.shifted for arrival in played(drift, onset=1.0))


def share(found: list[Arrival], first: int, last: int) -> float:
    return sum(arrival.shifted for arrival in found[first:last]) / (last - first)


def test_an_abrupt_shift_is_whole_at_once() -> None:
    found = played("abrupt")
    assert share(found, 200, 400) == 1.0
    assert all(arrival.row in AFTER for arrival in found[201:])


def test_a_gradual_shift_grows() -> None:
    found = played("gradual", onset=0.0)
    assert share(found, 0, 100) < 0.25 < share(found, 100, 300) < 0.75 < share(found, 300, 400)


def test_a_seasonal_shift_comes_and_goes() -> None:
    found = played("seasonal", onset=0.0)
    shares = [share(found, start, start + 50) for start in range(0, 400, 50)]
    assert min(shares[1], shares[2], shares[5], shares[6]) > 0.6
    assert max(shares[0], shares[3], shares[4], shares[7]) < 0.4


def test_a_harmless_change_greets_and_keeps_the_answers() -> None:
    texts = {row["text"]: row["label"] for row in BEFORE}
    for arrival in played("harmless")[201:]:
        inner = str(arrival.row["text"]).removeprefix("hi, ").removesuffix(" thanks")
        assert arrival.row["text"] == f"hi, {inner} thanks"
        assert texts[inner] == arrival.row["label"] == arrival.label


def test_a_shift_of_labels_alone_keeps_the_texts() -> None:
    texts = {row["text"]: row["label"] for row in BEFORE}
    found = played("label-only")[201:]
    assert all(arrival.row["text"] in texts for arrival in found)
    moved = {texts[str(a.row["text"])] for a in found if texts[str(a.row["text"])] != a.label}
    assert len(moved) == 2


def test_moved_labels_are_a_permutation() -> None:
    import random

    labels = [f"l{i}" for i in range(9)]
    moved = moved_labels(labels, random.Random(0))
    assert sorted(moved.values()) == labels
    assert sum(a != b for a, b in moved.items()) == 4


def test_rows_get_typos_where_no_rows_from_after_the_shift_are_given() -> None:
    found = played("abrupt", after=[])[201:]
    assert sum(arrival.row["text"] not in {r["text"] for r in BEFORE} for arrival in found) > 60


def test_labels_come_late_and_not_for_every_row() -> None:
    found = played("none", label_share=0.5, label_hours=48.0)
    labelled = [a for a in found if a.label is not None and a.labelled_at is not None]
    assert 150 < len(labelled) < 250
    delays = [(a.labelled_at - a.at).total_seconds() / 3600 for a in labelled if a.labelled_at]
    assert min(delays) > 0
    assert 35 < sum(delays) / len(delays) < 61


def test_a_stream_of_nothing_is_a_clear_error() -> None:
    stream = Stream("none", rows=1, start=START)
    with pytest.raises(DataError, match="no rows to play"):
        list(arrivals(stream, [], [], get_problem("text_classification")))


@pytest.mark.parametrize("problem", sorted(PROBLEMS))
@pytest.mark.parametrize("drift", ["abrupt", "harmless"])
def test_every_problem_is_played_and_its_late_label_is_the_right_answer(
    problem: str, drift: Any
) -> None:
    """A model that says what the late label says loses nothing."""
    kind, stream = get_problem(problem), Stream(drift, rows=24, start=START, onset=0.5)
    rows = structured_examples(problem, 8) if problem in STRUCTURED else BEFORE
    found = list(arrivals(stream, rows, [], kind))
    requests = [kind.request(arrival.row) for arrival in found]
    assert any(request not in map(kind.request, rows) for request in requests[12:])
    names = {field.name for field in kind.outputs}
    said = [right_answer(arrival.label, names) for arrival in found]
    assert set(answer_losses(problem, said, [arrival.label for arrival in found])) == {0.0}


def right_answer(label: Any, names: set[str]) -> dict[str, Any]:
    """Return what a service answers that is right."""
    if not isinstance(label, dict):
        return {"label": label}
    [(_, value)] = label.items()
    if "place" in names:
        return {"reply": "r", "place": value}
    if "answer" in names:
        return {"answer": value[0]["text"] if value else ""}
    name = next(n for n in ("tags", "labels", "translation", "summary", "reply") if n in names)
    return {name: value if name in ("tags", "labels") else value[0]}


@pytest.mark.parametrize("problem", STRUCTURED)
def test_what_was_asked_and_its_late_label_are_the_row_that_a_retrain_reads(problem: str) -> None:
    kind = get_problem(problem)
    for example in structured_examples(problem, 8):
        request = kind.request(example)
        known = {**request, **raw_answer(request, late_label(problem, example))}
        content = kind.read(lambda name, row=known: row[name] if name in COLUMNS[problem] else None)
        wanted = {name: example[name] for name in ("text", "text_pair", "target")}
        assert {name: getattr(content, name) for name in wanted} == wanted


def test_a_late_label_is_put_where_the_redacted_context_has_it() -> None:
    request = {"question": "who?", "context": "Ann: [email] is the address of Ann."}
    label = {"answers": [{"text": "Ann", "start": 47}, {"text": "gone", "answer_start": 5}]}
    assert raw_answer(request, label)["answers"] == [
        {"text": "Ann", "start": 31},
        {"text": "gone", "start": 5},
    ]
    for odd in (None, [], "Ann", [7]):
        assert raw_answer(request, {"answers": odd})["answers"] == odd


def test_a_logged_conversation_that_is_no_json_any_more_is_left_for_validation() -> None:
    request = {"messages": '[{"role": "user", "content": "\\[email]"}]'}
    assert raw_answer(request, "hello")["messages"] == request["messages"]


def test_labels_cannot_move_where_no_row_has_one() -> None:
    stream = Stream("label-only", rows=1, start=START)
    with pytest.raises(DataError, match="the rows of ner have no label"):
        list(arrivals(stream, structured_examples("ner", 2), [], get_problem("ner")))
