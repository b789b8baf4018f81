"""Tickets and what is kept of them: one cause, one incident; read twice, kept once."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from traffic_builders import START, answered, logged, monitored, reference

from pipeline_steps.errors import TrafficError
from pipeline_steps.monitoring.confirm import confirm
from pipeline_steps.monitoring.monitor_store import MonitorState, MonitorStore
from pipeline_steps.monitoring.tickets import (
    draw_requests,
    judged,
    likeness,
    place_alarm,
    ticket_of,
)
from pipeline_steps.monitoring.traffic import TrafficLog
from pipeline_steps.monitoring.window import WindowPolicy, judge_window, start_watch

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def report():
    anchor = reference()
    policy = WindowPolicy(model_name="m", version=1, threshold=1e4)
    rows = monitored(answered(np.random.default_rng(0), 300, foreign=0.4))
    return judge_window(rows, start_watch(anchor, policy), anchor, anchor, policy)


@pytest.fixture
def store(tmp_path):
    log = TrafficLog(f"sqlite:///{tmp_path}/traffic.db")
    yield MonitorStore(log)
    log.close()


def ticket(report, at=START, **changes):
    return ticket_of(report.model_copy(update=changes), at)


def test_the_same_alarm_is_the_same_ticket(report) -> None:
    assert ticket(report).ticket == ticket(report, START + DAY).ticket
    assert ticket(report).ticket != ticket(report, alarm_sequence=99).ticket
    assert ticket(report, alarm_sequence=None) is None


def test_an_alarm_joins_a_live_ticket_and_escalates_when_the_evidence_grew(report) -> None:
    first = ticket(report)
    second = ticket(report, alarm_sequence=250, peak=report.peak * 3)
    joined = place_alarm(second, [first], DAY)
    assert (joined.ticket, joined.joined, joined.escalations) == (first.ticket, 1, 0)
    third = ticket(report, alarm_sequence=290, peak=report.peak * 100)
    assert place_alarm(third, [joined], DAY).escalations == 1


def test_an_alarm_of_a_new_champion_joins_no_ticket_of_the_version_before(report) -> None:
    """What was benign to answer for one version may be harmful for the next."""
    benign = ticket(report).model_copy(update={"status": "benign"})
    same = ticket(report, alarm_sequence=250)
    assert place_alarm(same, [benign], DAY).ticket == benign.ticket
    new = ticket(report, alarm_sequence=250, version=report.version + 1)
    assert place_alarm(new, [benign], DAY) == new


def test_one_cause_that_comes_back_soon_is_one_incident_and_two_causes_are_two(report) -> None:
    first = ticket(report).model_copy(update={"status": "benign"})
    again = ticket(report, START + DAY / 2, alarm_sequence=250)
    assert place_alarm(again, [first], DAY).ticket == first.ticket
    late = ticket(report, START + 3 * DAY, alarm_sequence=251)
    assert place_alarm(late, [first], DAY).ticket == late.ticket
    other = again.model_copy(update={"signature": ("word:else",)})
    assert place_alarm(other, [first], DAY).ticket == other.ticket


def other_cause(report, at, **changes):
    return ticket(report, at, explanation=None, **changes).model_copy(
        update={"signature": ("word:else", "word:other")}
    )


def test_another_cause_is_another_ticket_though_the_first_is_not_settled(report) -> None:
    first = ticket(report)
    other = other_cause(report, START + 20 * DAY, alarm_sequence=250)
    assert place_alarm(other, [first], DAY) == other
    still = ticket(report, START + 20 * DAY, alarm_sequence=251)
    assert place_alarm(still, [first, other], DAY).ticket == first.ticket
    soon = other_cause(report, START + DAY / 2, alarm_sequence=252)
    assert place_alarm(soon, [first], DAY).ticket == first.ticket, "a first window shows little"


def test_a_settled_ticket_is_recent_by_the_time_of_its_rows_not_of_its_labels(report) -> None:
    labelled = {"status": "benign", "changed_at": START + 200 * DAY}
    settled = ticket(report).model_copy(update=labelled)
    later = ticket(report, START + 20 * DAY, alarm_sequence=250)
    assert place_alarm(later, [settled], DAY) == later
    lasted = settled.model_copy(update={"last_at": START + 19.5 * DAY})
    assert place_alarm(later, [lasted], DAY).ticket == settled.ticket


@pytest.mark.parametrize(
    ("losses", "harmful"), [([], False), ([1.0] * 8, True), ([0.0, 1.0, 0.0], False)]
)
def test_a_superseded_ticket_is_harmful_only_if_its_labels_said_so(report, losses, harmful) -> None:
    harm = confirm(losses, line=0.06, alpha=0.05)
    ended = ticket(report).model_copy(update={"status": "superseded", "harm": harm})
    assert ended.harmful == harmful
    assert not ended.model_copy(update={"harm": None}).harmful


def test_reading_an_alarm_again_changes_nothing(report) -> None:
    first = ticket(report)
    assert place_alarm(ticket(report), [first], DAY) == first


def test_likeness_is_the_share_that_both_have() -> None:
    assert likeness(("a", "b"), ("b", "c")) == pytest.approx(1 / 3)
    assert likeness((), ()) == 0.0


def test_labels_are_asked_for_a_few_at_a_time_after_the_alarm_and_never_twice(report) -> None:
    opened = ticket(report)
    rows = [(f"p{i}", i) for i in range(400)]
    first = draw_requests(opened, rows, [], at_a_time=10, label_cap=25, unanswered=0)
    assert len(first) == 10
    assert all(r.sequence > opened.alarm_sequence for r in first)
    assert draw_requests(opened, rows, [], at_a_time=10, label_cap=25, unanswered=0) == first
    more = draw_requests(opened, rows, first, at_a_time=10, label_cap=25, unanswered=4)
    assert len(more) == 6
    assert not {r.prediction_id for r in more} & {r.prediction_id for r in first}
    assert [r.position for r in more] == list(range(10, 16))
    asked = [*first, *more]
    assert len(draw_requests(opened, rows, asked, at_a_time=99, label_cap=25, unanswered=0)) == 9


def test_rows_whose_label_has_come_ask_nobody_and_are_drawn_like_the_others(report) -> None:
    opened = ticket(report)
    rows = [(f"p{i}", i) for i in range(400)]
    ten, all_ = (
        draw_requests(opened, rows, [], at_a_time=n, label_cap=60, unanswered=0) for n in (10, 60)
    )
    known = {request.prediction_id for request in all_[:50:2]}
    some = draw_requests(opened, rows, [], at_a_time=10, label_cap=60, unanswered=0, labelled=known)
    assert some == all_[:20]
    assert ten == all_[:10]
    known = {name for name, _ in rows}
    for waiting, drawn in ((0, all_), (10, [])):
        assert draw_requests(
            opened, rows, [], at_a_time=10, label_cap=60, unanswered=waiting, labelled=known
        ) == drawn  # fmt: skip


def test_the_draw_is_uniform_over_the_rows(report) -> None:
    rows = [(f"p{i}", i) for i in range(1_000)]
    drawn = []
    for alarm in range(1, 60):
        one = ticket(report, alarm_sequence=alarm)
        drawn += [
            r.sequence / 1_000
            for r in draw_requests(one, rows, [], at_a_time=20, label_cap=99, unanswered=0)
        ]
    assert np.mean(drawn) == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize(
    ("losses", "status"),
    [([1.0] * 8, "harm"), ([0.0] * 300, "benign"), ([0.0, 1.0, 0.0], "open")],
)
def test_labels_decide_a_ticket(report, losses, status) -> None:
    harm = confirm(losses, line=0.06, alpha=0.05)
    assert judged(ticket(report), harm, label_cap=400, at=START).status == status


def test_a_ticket_at_its_cap_is_unclear(report) -> None:
    harm = confirm([0.0] * 10 + [1.0], line=0.06, alpha=0.05)
    assert judged(ticket(report), harm, label_cap=11, at=START).status == "unclear"


def test_a_window_is_kept_whole_and_once(store, report) -> None:
    before = MonitorState("t", "t", 0, b"d0", "{}")
    store.advance("m", before, expected=None)
    after = MonitorState("t", "t", 300, b"d1", "{}")
    store.advance("m", after, expected=before, report=report, tickets=[ticket(report)])
    assert store.state("m") == after
    assert store.window_reports("m") == [report]
    assert store.tickets("m") == [ticket(report)]
    with pytest.raises(TrafficError, match="another process went on"):
        store.advance("m", after, expected=before, report=report)
    assert len(store.window_reports("m")) == 1


def test_a_window_that_cannot_be_kept_leaves_nothing(store, report) -> None:
    before = MonitorState("t", "t", 0, b"d0", "{}")
    store.advance("m", before, expected=None)
    after = MonitorState("t", "t", 300, b"d1", "{}")
    store.advance("m", after, expected=before, report=report)
    again = MonitorState("t", "t", 600, b"d2", "{}")
    with pytest.raises(TrafficError, match="cannot be written"):  # that window is there already
        store.advance("m", again, expected=after, report=report, tickets=[ticket(report)])
    assert store.state("m") == after
    assert store.tickets("m") == []


def test_requests_are_kept_skipped_and_found_with_their_rows(store, report) -> None:
    store.log.append(logged(answered(np.random.default_rng(1), 40)))
    opened = ticket(report, alarm_sequence=5)
    rows = [(f"p{i}", i + 1) for i in range(40)]
    drawn = draw_requests(opened, rows, [], at_a_time=5, label_cap=9, unanswered=0)
    store.put_ticket(opened, drawn)
    assert store.requests(opened.ticket) == drawn
    assert store.skip([drawn[0].prediction_id]) == 1
    assert store.requests(opened.ticket)[0].skipped
    found = store.rows([r.prediction_id for r in drawn] + ["gone"])
    assert {row.sequence for row in found.values()} == {r.sequence for r in drawn}
    assert store.ticket(opened.ticket) == opened
    with pytest.raises(TrafficError, match="there is no ticket"):
        store.ticket("drift-none")
