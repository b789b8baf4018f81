"""Which new rows of a retrain the data stages set aside, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline_steps.errors import counted

_STAGES = ("ingest", "validate", "split")


def left_out(root: Path, source: str, ids: Collection[str]) -> dict[str, int]:
    """Return how many rows of a raw file were set aside, by their first reason.

    Parameters
    ----------
    root : Path
        The workspace, after its data stages.
    source : str
        The raw file; its unreadable rows have no example, and are known by it alone.
    ids : collection of str
        Of the examples that were read from it.
    """
    names = pc.SetLookupOptions(value_set=pa.array(sorted(ids)))
    found: Counter[str] = Counter()
    for stage in _STAGES:
        rows = pq.read_table(
            root / "data/quarantine" / stage / "rows.parquet",
            columns=["example_id", "reason", "source_file"],
        )
        of_file = pc.or_kleene(
            pc.is_in(rows["example_id"], options=names), pc.equal(rows["source_file"], source)
        )
        found.update(rows.filter(of_file)["reason"].to_pylist())
    return dict(found)


def describe_left_out(n_new: int, reasons: dict[str, int]) -> str:
    """Return one line for people: how many new rows were learnt from, and where others went."""
    n_out = sum(reasons.values())
    if not n_out:
        return counted(n_new, "new row")
    words = ", ".join(f"{n} {reason}" for reason, n in sorted(reasons.items()))
    return f"{n_new - n_out} of {counted(n_new, 'new row')} ({n_out} set aside: {words})"
