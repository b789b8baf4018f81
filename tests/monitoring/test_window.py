"""A window beside a reference: the report says what moved, what it may cost, what is not testable."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from traffic_builders import LABELS, answered, monitored, reference

from pipeline_steps.errors import DataError
from pipeline_steps.monitoring.monitored_rows import Seen
from pipeline_steps.monitoring.reference import accept, read_reference, write_reference
from pipeline_steps.monitoring.window import ANCHOR, WindowPolicy, judge_window, start_watch

POLICY = WindowPolicy(model_name="m", version=1, threshold=1e4)


@pytest.fixture(scope="module")
def anchor():
    return reference()


def judge(anchor, rows, policy=POLICY):
    return judge_window(rows, start_watch(anchor, policy), anchor, anchor, policy)


def traffic(seed, n=400, **shift):
    return monitored(answered(np.random.default_rng(seed), n, **shift))


def finding(report, name):
    return next(f for f in report.scores if f.name == name)


def test_rows_like_the_reference_are_no_drift(anchor) -> None:
    report = judge(anchor, traffic(1))
    assert report.status == "no_drift"
    assert report.alarm_sequence is None
    assert report.n_compared == report.n_read == 400
    assert finding(report, "all").drifted is False


def test_rows_of_an_unseen_kind_alarm_and_are_explained(anchor) -> None:
    report = judge(anchor, traffic(2, foreign=0.3))
    assert report.status == "drift"
    assert 1 <= report.alarm_sequence <= 400
    moved = {word.word for word in report.explanation.words[:10]}
    assert len(moved & {"wetter", "morgen", "regen", "sonne", "wolken", "kalt", "schnee"}) >= 5
    first = report.explanation.clusters[0]
    assert first.moved
    assert first.name == "unlike any reference row"
    assert all(
        any(
            w in text
            for w in (
                "wetter",
                "regen",
                "kalt",
                "morgen",
                "sonne",
                "nebel",
                "schnee",
                "warm",
                "sturm",
                "wolken",
            )
        )
        for text in first.examples
    )
    guess = report.estimated_harm
    assert guess.atc > guess.base_risk + 0.1
    assert guess.cbpe > guess.base_risk + 0.1


def test_the_guess_without_drift_is_near_the_risk_of_the_reference(anchor) -> None:
    guess = judge(anchor, traffic(3, n=2_000)).estimated_harm
    assert guess.atc == pytest.approx(guess.base_risk, abs=0.02)
    assert guess.cbpe == pytest.approx(guess.base_risk, abs=0.02)
    assert guess.disagreement < 0.03
    assert abs(guess.label_mix) < 0.01


def test_repeats_of_a_day_are_compared_once(anchor) -> None:
    rows = answered(np.random.default_rng(4), 200)
    report = judge(anchor, monitored(rows + rows[:150]))
    assert (report.n_read, report.n_compared) == (350, 200)
    assert report.status == "no_drift"


def test_repeated_greetings_do_not_alarm_but_would_without_the_guard(anchor) -> None:
    rows = answered(np.random.default_rng(5), 300)
    rows += [rows[0]] * 300
    assert judge(anchor, monitored(rows)).status == "no_drift"


@pytest.mark.parametrize("text", ["", "   ", "the", "🙂", "你好世界"])
def test_odd_texts_never_crash_and_never_pass_for_no_drift(anchor, text) -> None:
    rows = [(text, t, a, p) for _, t, a, p in answered(np.random.default_rng(6), 300)]
    report = judge(anchor, monitored(rows))
    assert report.status in ("drift", "not_testable")
    if not text.strip():
        assert finding(report, "surprise").drifted is None
        assert "lack it" in finding(report, "surprise").reason


def test_one_row_is_not_testable(anchor) -> None:
    report = judge(anchor, traffic(7, n=1))
    assert report.status == "not_testable"
    assert "1 rows" in report.notes[0]


def test_a_reference_without_spread_is_not_testable(anchor) -> None:
    small = reference(n=40)
    report = judge(small, traffic(8, n=50))
    assert report.status == "not_testable"
    assert all(f.drifted is None and f.reason for f in report.scores)


def in_segment(rows, name):
    return replace(rows, strata=[name] * len(rows))


def by_segment(anchor, rows):
    """Return the report of rows beside a reference that knows the segment ``en`` alone."""
    known = traffic(20)
    named = in_segment(known, "en").strata
    english = accept(anchor, known.rows, current_digest=known.digest, strata=named)
    return judge(english, rows, POLICY.model_copy(update={"strata": "segment"}))


def test_a_segment_that_the_reference_does_not_know_is_not_testable_and_is_named(anchor) -> None:
    """It is compared with itself alone: even a total shift would look like no drift."""
    report = by_segment(anchor, in_segment(traffic(21, n=200, foreign=1.0), "de"))
    assert report.status == "not_testable"
    [note] = report.notes
    assert note == "fewer than 20 rows to compare with in the segment de (200 rows)"


def test_a_segment_with_a_reference_is_tested_beside_a_small_new_one(anchor) -> None:
    rows = traffic(22, n=200)
    mixed = replace(rows, strata=["de"] * 30 + ["en"] * 170)
    report = by_segment(anchor, mixed)
    assert report.status == "no_drift"
    assert "de (30 rows)" in report.notes[0]
    assert by_segment(anchor, in_segment(rows, "en")).notes == ()
    foreign = by_segment(anchor, in_segment(traffic(23, n=200, foreign=1.0), "en"))
    assert foreign.status == "drift"


def test_an_hour_is_testable_once_it_has_traffic_of_its_own(anchor) -> None:
    policy = POLICY.model_copy(update={"strata": "hour"})
    watch = start_watch(anchor, policy)
    parts = [in_segment(traffic(24, n=200).take(range(i, i + 100)), "09") for i in (0, 100)]
    reports = [judge_window(part, watch, anchor, anchor, policy) for part in parts]
    assert [report.status for report in reports] == ["not_testable", "no_drift"]


def test_windows_do_not_matter_to_the_evidence(anchor) -> None:
    rows = traffic(9, n=300, foreign=0.05)
    whole = start_watch(anchor, POLICY)
    judge_window(rows, whole, anchor, anchor, POLICY)
    parts = start_watch(anchor, POLICY)
    for start in range(0, 300, 70):
        part = rows.take(range(start, min(start + 70, 300)))
        parts.seen = Seen.from_json(parts.seen.to_json())
        judge_window(part, parts, anchor, anchor, POLICY)
    assert parts.detector.evidence == pytest.approx(whole.detector.evidence)


def test_an_accepted_window_is_the_new_anchor_and_the_old_one_is_still_shown(anchor) -> None:
    polite = traffic(10, n=500, polite=1.0)
    assert judge(anchor, polite).status == "drift"
    accepted = accept(anchor, polite.rows, current_digest=polite.digest, strata=polite.strata)
    watch = start_watch(accepted, POLICY)
    report = judge_window(traffic(11, n=500, polite=1.0), watch, accepted, anchor, POLICY)
    assert report.status == "no_drift"
    far = [f.name for f in report.scores if f.method == ANCHOR and f.drifted]
    assert "surprise" in far
    assert accepted.meta.harm == anchor.meta.harm


def test_a_reference_is_read_as_it_was_written(anchor, tmp_path) -> None:
    write_reference(tmp_path / "r", anchor)
    again = read_reference(tmp_path / "r")
    assert again.digest == anchor.digest
    rows = traffic(12)
    assert judge(again, rows) == judge(anchor, rows)


def test_a_changed_reference_is_refused(anchor, tmp_path) -> None:
    write_reference(tmp_path / "r", anchor)
    with (tmp_path / "r/arrays.npz").open("ab") as file:
        file.write(b"x")
    with pytest.raises(DataError, match="has changed since it was written"):
        read_reference(tmp_path / "r")
    with pytest.raises(DataError, match="cannot be read"):
        read_reference(tmp_path / "none")


def test_a_report_is_plain_json(anchor) -> None:
    report = judge(anchor, traffic(13))
    assert json.loads(report.model_dump_json())["model_name"] == "m"
    assert anchor.meta.labels == LABELS
