"""Rows that were set aside, with reasons; and whether that was selective."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_steps.files import atomic_directory

QUARANTINE_SCHEMA = pa.schema(
    [
        ("example_id", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("source_file", pa.string()),
        ("line", pa.int64()),
        ("text", pa.string()),
        ("label", pa.string()),
    ]
)


@dataclass
class Quarantine:
    """Collects rows set aside and counts their reasons."""

    columns: dict[str, list[object]] = field(
        default_factory=lambda: {name: [] for name in QUARANTINE_SCHEMA.names}
    )
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, reason: str, **values: object) -> None:
        """Set one row aside."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        for name, column in self.columns.items():
            column.append(reason if name == "reason" else values.get(name))

    def write(self, directory: Path) -> None:
        """Write ``rows.parquet`` into ``directory``, whole or not at all."""
        table = pa.table(self.columns, schema=QUARANTINE_SCHEMA)
        with atomic_directory(directory) as temporary:
            pq.write_table(table, temporary / "rows.parquet")

    @property
    def n_rows(self) -> int:
        """Rows set aside."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class SelectiveFinding:
    """A value whose rows were set aside far more often than the others'."""

    value: str
    n_rows: int
    n_quarantined: int
    share: float
    share_elsewhere: float
    p_value: float


def selective_values(
    totals: Mapping[str, int],
    quarantined: Mapping[str, int],
    *,
    alpha: float,
    min_excess: float,
) -> list[SelectiveFinding]:
    """Return the values (labels, groups) that quarantine takes out disproportionately.

    For each value: the one-sided Fisher exact test (Fisher 1935) that its rows are set aside more
    often than all other rows, with Holm's (1979) correction over the values, and an excess of at
    least ``min_excess`` in the share: a difference that is significant but small is let through.

    Parameters
    ----------
    totals : mapping of str to int
        Rows of each value before quarantine.
    quarantined : mapping of str to int
        Rows of each value that were set aside.
    alpha : float
        Family-wise false-alarm probability when quarantine is blind to the value.
    min_excess : float
        Difference of shares below which nothing is reported.
    """
    tests = sorted(
        (_fisher(value, totals, quarantined) for value in totals), key=lambda f: f.p_value
    )
    found = []
    for rank, finding in enumerate(tests):
        if finding.p_value > alpha / (len(tests) - rank):
            break
        if finding.share - finding.share_elsewhere >= min_excess:
            found.append(finding)
    return found


def _fisher(
    value: str, totals: Mapping[str, int], quarantined: Mapping[str, int]
) -> SelectiveFinding:
    from scipy.stats import hypergeom

    n, n_all = totals[value], sum(totals.values())
    taken, taken_all = quarantined.get(value, 0), sum(quarantined.values())
    elsewhere = n_all - n
    return SelectiveFinding(
        value=value,
        n_rows=n,
        n_quarantined=taken,
        share=taken / n if n else 0.0,
        share_elsewhere=(taken_all - taken) / elsewhere if elsewhere else 0.0,
        p_value=float(hypergeom.sf(taken - 1, n_all, taken_all, n)),
    )
