"""Raw values become texts, names and points in time."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.fields import (
    NotAValueError,
    as_name,
    as_text,
    as_timestamp,
    missing_as_none,
)

POINTS_IN_TIME: dict[str, tuple[Any, str]] = {
    "with zone": ("2026-01-02T03:04:05+01:00", "2026-01-02T02:04:05+00:00"),
    "zulu": ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05+00:00"),
    "without zone": ("2026-01-02 03:04:05", "2026-01-02T03:04:05+00:00"),
    "basic date": ("20260102", "2026-01-02T00:00:00+00:00"),
    "a date": (date(2026, 1, 2), "2026-01-02T00:00:00+00:00"),
    "seconds": (1_767_323_045, "2026-01-02T03:04:05+00:00"),
    "seconds as text": ("1767323045.5", "2026-01-02T03:04:05.500000+00:00"),
    "milliseconds": (1_767_323_045_250, "2026-01-02T03:04:05.250000+00:00"),
    "milliseconds as text": ("1767323045250", "2026-01-02T03:04:05.250000+00:00"),
    "long ago": ("0001-01-01", "0001-01-01T00:00:00+00:00"),
}


@pytest.mark.parametrize("case", POINTS_IN_TIME)
def test_points_in_time_are_read_as_utc(case: str) -> None:
    value, expected = POINTS_IN_TIME[case]
    parsed = as_timestamp(value)
    assert parsed is not None
    assert (parsed.isoformat(), parsed.tzinfo) == (expected, UTC)


@pytest.mark.parametrize(
    "value",
    ["yesterday", "", None, True, "²", "1e9", float("nan"), float("inf"), [1], 10**400,
     "0001-01-01T00:00:00+05:00", "9999-12-31T23:00:00-05:00", "99999999999999999999"],
)  # fmt: skip
def test_what_is_no_point_in_time_is_none(value: Any) -> None:
    assert as_timestamp(value) is None


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_point_in_time_survives_being_written(value: datetime) -> None:
    assert as_timestamp(value.isoformat()) == value


@given(st.one_of(st.text(), st.floats(), st.integers(), st.booleans(), st.none()))
def test_no_single_value_breaks_a_column(value: Any) -> None:
    assert as_timestamp(value) is None or as_timestamp(value).tzinfo is UTC
    assert as_name("label", missing_as_none(value)) != ""


@pytest.mark.parametrize("value", [["a"], {"a": 1}, b"a", ("a",)])
def test_a_list_or_object_is_no_name(value: Any) -> None:
    with pytest.raises(NotAValueError, match="where a name was expected"):
        as_name("label", value)


@pytest.mark.parametrize("value", [1, 1.5, True, ["a"], b"a"])
def test_only_text_is_text(value: Any) -> None:
    with pytest.raises(NotAValueError, match="where a string was expected"):
        as_text("text", value)
