"""Traffic whose mix changes by the hour and at weekends: usual within its hour, drift without."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from traffic_builders import LABELS, START, answered, logged, reference

from pipeline_steps.monitoring.monitored_rows import monitored_rows
from pipeline_steps.monitoring.window import WindowPolicy, judge_window, start_watch
from pipeline_steps.traffic_rows import TrafficRow

A_DAY = 480
ANCHOR = reference(foreign=0.2)  # about the mix of the traffic as a whole


def is_strange(at: datetime, *, weekends: bool) -> bool:
    """Return whether many rows are foreign at a time: at night, or all through the weekend."""
    return at.weekday() >= 5 if weekends else at.hour < 7


def pages(
    days: int, *, weekends: bool = False, drift_from: int = 10_000
) -> Iterator[list[TrafficRow]]:
    """Yield the traffic of days, 500 rows at a time; from a day on it is strange at any time."""
    rng, page = np.random.default_rng(2), []
    for number in range(days * A_DAY):
        at = START + timedelta(days=number / A_DAY)
        strange = number >= drift_from * A_DAY or is_strange(at, weekends=weekends)
        rows = answered(rng, 1, foreign=0.5 if strange else 0.05)
        [row] = logged(rows, first=number, a_day=A_DAY)
        page.append(TrafficRow(sequence=number + 1, prediction=row))
        if len(page) == 500:
            yield page
            page = []


def alarms(strata: str, days: int, **how: Any) -> list[int]:
    """Return the rows at which alarms came; after each the detector starts anew."""
    policy = WindowPolicy(model_name="m", version=1, threshold=1e5, strata=strata)
    watch, found = start_watch(ANCHOR, policy), []
    for page in pages(days, **how):
        rows = monitored_rows(page, LABELS, strata=strata)
        report = judge_window(rows, watch, ANCHOR, ANCHOR, policy)
        if report.alarm_sequence is not None:
            found.append(report.alarm_sequence)
            watch.detector.wealth[:] = 0.0
    return found


@pytest.mark.parametrize(("strata", "weekends"), [("none", False), ("hour", True)])
def test_a_mix_that_changes_by_the_clock_alarms_where_other_times_are_compared_with(
    strata: str, weekends: bool
) -> None:
    assert len(alarms(strata, 7, weekends=weekends)) >= 4


@pytest.mark.parametrize(("strata", "weekends"), [("hour", False), ("hour_of_week", True)])
def test_within_its_hours_it_alarms_no_more_than_promised_and_a_drift_is_still_found(
    strata: str, weekends: bool
) -> None:
    onset = 15
    found = alarms(strata, onset + 1, weekends=weekends, drift_from=onset)
    usual = [row for row in found if row <= onset * A_DAY]
    assert len(usual) <= 1  # of the promise, one in 100,000 rows on average, it is a tenth
    assert found[len(usual)] <= (onset + 0.5) * A_DAY
