"""The standing test of labels: its promise holds whoever labels what, and harm is found soon."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from pipeline_steps.monitoring.standing import (
    StandingDraw,
    drawn_rows,
    evidence_path,
    ticket_by_labels,
    weigh_labels,
)
from pipeline_steps.monitoring_params import MonitorParams

LINE = 0.06
Array = np.ndarray[Any, Any]


def alarms(threshold: float, n: int, streams: int, **how: float) -> float:
    """Return the share of streams with an alarm within ``n`` drawn rows."""
    rng = np.random.default_rng(3)
    peaks = [evidence_path(losses(rng, n, **how), LINE).max() for _ in range(streams)]
    return float(np.mean(np.array(peaks) >= threshold))


def losses(rng: np.random.Generator, n: int, risk: float, told: float = 1.0) -> Array:
    """Return losses as they count: what is wrong, as far as anybody has told it."""
    return np.asarray((rng.random(n) < risk) & (rng.random(n) < told), dtype=float)


def test_without_harm_it_alarms_as_often_as_was_promised_at_the_most() -> None:
    n, streams = 3_000, 300
    for threshold in (6_000.0, 15_000.0):
        promised = n / threshold
        found = alarms(threshold, n, streams, risk=LINE)
        assert found <= promised + 3 * np.sqrt(promised * (1 - promised) / streams)
        assert found >= promised / 4, "a promise that costs nothing would show nothing"


@pytest.mark.parametrize("told", [0.2, 0.5, 1.0])
def test_labels_of_what_is_wrong_alone_make_no_harm_up(told: float) -> None:
    """Users complain about wrong answers and never about right ones."""
    assert alarms(30_000.0, 3_000, 100, risk=LINE / 2, told=told) == 0.0
    complaints_alone = weigh_labels([1.0] * 100, LINE, 30_000.0)
    assert complaints_alone.alarm is not None, "without the rows that nobody labelled they would"


def test_a_label_that_comes_later_can_only_add_evidence() -> None:
    rng = np.random.default_rng(5)
    known = losses(rng, 400, risk=0.3)
    for _ in range(20):
        hidden = known * (rng.random(400) < rng.random())
        assert (evidence_path(hidden, LINE) <= evidence_path(known, LINE) * (1 + 1e-9)).all()


@pytest.mark.parametrize(("risk", "most"), [(0.5, 25), (0.2, 130), (0.1, 1_000)])
def test_harm_is_found_after_few_labels(risk: float, most: int) -> None:
    rng = np.random.default_rng(7)
    before = np.zeros(300)  # rows from before, or ones whose labels have not come
    found = [
        weigh_labels([*before, *losses(rng, 4_000, risk=risk)], LINE, 2e5).alarm for _ in range(20)
    ]
    assert None not in found
    assert np.median([0 if alarm is None else alarm - 300 for alarm in found]) <= most


def test_rows_are_drawn_by_their_ids_alone_and_at_the_share_that_is_asked_for() -> None:
    ids = [f"p{i}" for i in range(4_000)]
    draw = StandingDraw(model_name="m", version=1, share=0.1, asked=True)
    rows = drawn_rows(draw, ids, range(1, 4_001), 5)
    assert abs(len(rows) - 400) < 4 * np.sqrt(4_000 * 0.1 * 0.9)
    assert [row.position for row in rows] == list(range(5, 5 + len(rows)))
    assert rows == [*drawn_rows(draw, ids[:900], range(1, 901), 5), *rows_after(draw, ids, rows)]
    more = {row.prediction_id for row in drawn_rows(draw.model_copy(update={"share": 0.2}), ids,
                                                    range(1, 4_001), 0)}  # fmt: skip
    assert {row.prediction_id for row in rows} < more
    assert len(drawn_rows(draw.model_copy(update={"share": 1.0}), ids, range(1, 4_001), 0)) == 4_000


def rows_after(draw: StandingDraw, ids: list[str], rows: list[Any]) -> list[Any]:
    first = sum(row.sequence <= 900 for row in rows)
    return drawn_rows(draw, ids[900:], range(901, 4_001), 5 + first)


def test_the_same_alarm_is_the_same_ticket_and_no_ticket_of_texts() -> None:
    draw = StandingDraw(model_name="m", version=1, share=1.0, asked=False)
    evidence = weigh_labels([1.0] * 30, LINE, 2e5)
    about: dict[str, Any] = {"reference_digest": "r", "last_sequence": 30, "at": datetime(2026, 3, 1, tzinfo=UTC)}  # fmt: skip
    first = ticket_by_labels(draw, evidence, sequence=7, **about)
    assert first == ticket_by_labels(draw, evidence, sequence=7, **about)
    assert (first.status, first.opened_by, first.signature) == ("open", "labels", ())
    assert first.ticket != ticket_by_labels(draw, evidence, sequence=8, **about).ticket


@pytest.mark.parametrize(
    ("changed", "share", "threshold"),
    [
        ({}, 0.2, 200_000.0),
        ({"rows_a_month": 5_000}, 1.0, 50_000.0),
        ({"standing_labels": 0.01}, 0.01, 10_000.0),
        ({"standing_labels": 0.01, "standing_alarms_a_month": 50.0}, 0.01, 100.0),
        ({"standing_labels": 0.01, "standing_alarms_a_month": 0.0}, 0.0, np.inf),
    ],
)
def test_the_budget_is_one_of_drawn_rows(
    changed: dict[str, Any], share: float, threshold: float
) -> None:
    params = MonitorParams(**changed)
    assert (params.standing_share, params.standing_threshold) == (share, pytest.approx(threshold))
    assert params.threshold == changed.get("rows_a_month", 100_000), "that of the texts stays"
