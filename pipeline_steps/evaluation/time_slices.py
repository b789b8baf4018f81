"""Time slices: the year, the quarter or the month in which a row was written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
_MONTHS_IN_QUARTER = 3
COLUMNS = ("year", "quarter", "month")


def time_columns(timestamps: Iterable[str | None]) -> dict[str, Array]:
    """Return slice columns of times in ISO 8601, each (n,) str; ``None`` where there is no time.

    Examples
    --------
    >>> {name: found[0] for name, found in time_columns(["2026-11-27T18:00:00+00:00"]).items()}
    {'year': '2026', 'quarter': '2026-Q4', 'month': '2026-11'}
    """
    rows = [(None,) * len(COLUMNS) if time is None else _periods(time) for time in timestamps]
    return {
        name: np.array([row[place] for row in rows], dtype=object)
        for place, name in enumerate(COLUMNS)
    }


def _periods(time: str) -> tuple[str, str, str]:
    year, month = time[:4], time[5:7]
    quarter = (int(month) + _MONTHS_IN_QUARTER - 1) // _MONTHS_IN_QUARTER
    return year, f"{year}-Q{quarter}", f"{year}-{month}"
