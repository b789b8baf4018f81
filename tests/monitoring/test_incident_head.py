"""The head of an incident's page says what its status means, and its evidence as the charts do."""

from __future__ import annotations

import math

import pytest
from traffic_builders import START

from pipeline_steps.monitoring.confirm import confirm
from pipeline_steps.monitoring.incident_head import with_head
from pipeline_steps.monitoring.tickets import Ticket


def page(status: str, n_errors: int | None) -> str:
    harm = None if n_errors is None else confirm([1.0] * n_errors, line=0.06, alpha=0.05)
    ticket = Ticket(
        ticket="drift-1", model_name="m", version=1, reference_digest="r", alarm_sequence=7,
        last_sequence=9, opened_at=START, changed_at=START, last_at=START, signature=(),
        status=status, log_evidence=31.6 * math.log(10), harm=harm,
    )  # fmt: skip
    return with_head("<body></body>", ticket)


@pytest.mark.parametrize(
    ("status", "n_errors", "said"),
    [
        ("open", None, "nothing is decided yet"),
        ("harm", 6, "labels show more errors than are tolerated"),
        ("benign", 0, "no reason to train again"),
        ("superseded", 6, "labels had shown more errors than are tolerated"),
        ("superseded", None, "labels had not shown more errors than are tolerated"),
    ],
)
def test_a_status_is_said_in_words(status: str, n_errors: int | None, said: str) -> None:
    assert said in page(status, n_errors)


def test_evidence_is_the_power_of_ten_that_the_chart_draws() -> None:
    assert "10^31.6 (none: 10^0)" in page("open", None)
