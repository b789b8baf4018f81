"""Judges a file of examples: bad rows to quarantine, a bad file to a refusal."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_steps.data_preparation.expectations import ExpectationSuite
from pipeline_steps.data_preparation.ingest import EXAMPLES_SCHEMA, INGESTED
from pipeline_steps.data_preparation.quarantine import (
    Quarantine,
    SelectiveFinding,
    selective_values,
)
from pipeline_steps.data_preparation.repeats import Repeats, find_repeats
from pipeline_steps.digests import file_digest
from pipeline_steps.errors import ValidationBlockedError
from pipeline_steps.files import atomic_directory, remove_partial_files
from pipeline_steps.params import ValidateParams
from pipeline_steps.types import ExpectationFailure, ValidationReport

if TYPE_CHECKING:
    import pandas as pd

VALIDATED = Path("data/validated")
QUARANTINE = Path("data/quarantine/validate")
_COUNTED_COLUMNS = ("label", "domain")
_EXAMPLES = 5


@dataclass
class _Tally:
    """Rows before and after, by value, and what failed."""

    n_rows: int = 0
    n_kept: int = 0
    totals: dict[str, Counter[str]] = field(
        default_factory=lambda: {name: Counter() for name in _COUNTED_COLUMNS}
    )
    taken: dict[str, Counter[str]] = field(
        default_factory=lambda: {name: Counter() for name in _COUNTED_COLUMNS}
    )
    failures: dict[str, tuple[str, int, tuple[str, ...]]] = field(default_factory=dict)

    @property
    def kept_labels(self) -> Counter[str]:
        """Rows of each label that were kept."""
        return self.totals["label"] - self.taken["label"]


def validate(params: ValidateParams, problem: str, root: Path) -> ValidationReport:
    """Return what the expectation suite found in the ingested examples of a workspace.

    Raises
    ------
    ValidationBlockedError
        If the file as a whole is refused; the report and the quarantine are written before.
    """
    remove_partial_files(root / "data")
    ingested = json.loads((root / INGESTED / "report.json").read_text(encoding="utf-8"))
    report = validate_examples(
        root / INGESTED / "examples.parquet",
        params,
        problem,
        root / VALIDATED,
        quarantine_directory=root / QUARANTINE,
        n_rejected_before=ingested["n_rejected"],
    )
    if report.blocked_because:
        raise ValidationBlockedError(
            "the data were refused:\n" + "\n".join(f"  - {r}" for r in report.blocked_because),
            expected="data that meet the expectation suite (section validate of params.yaml)",
            fix=f"read {VALIDATED}/report.json and {QUARANTINE}/rows.parquet, mend the raw file "
            "or the bound, then: holdfast prepare",
        )
    return report


def validate_examples(
    path: Path,
    params: ValidateParams,
    problem: str,
    output: Path,
    *,
    quarantine_directory: Path,
    n_rejected_before: int = 0,
) -> ValidationReport:
    """Return the report on any examples file, and write kept and set-aside rows.

    Parameters
    ----------
    path : Path
        Examples (Parquet); read twice, in chunks of ``params.batch_rows``.
    params : ValidateParams
        The bounds.
    problem : str
        Decides the suite.
    output : Path
        Directory for ``examples.parquet`` (kept rows) and ``report.json``.
    quarantine_directory : Path
        Directory for the rows set aside.
    n_rejected_before : int
        Rows that could not even be read; they count in the quarantined share.
    """
    suite = ExpectationSuite(problem, params)
    repeats = find_repeats(path, params.batch_rows)
    quarantine, tally = Quarantine(), _Tally()
    with atomic_directory(output) as directory:
        with pq.ParquetWriter(directory / "examples.parquet", EXAMPLES_SCHEMA) as writer:
            for start, frame in _chunks(path, params.batch_rows):
                kept = _judge_chunk(frame, start, suite, repeats, quarantine, tally)
                writer.write_table(
                    pa.Table.from_pandas(frame[kept], EXAMPLES_SCHEMA, preserve_index=False)
                )
        report = _report(path, params, suite, repeats, quarantine, tally, n_rejected_before)
        text = report.model_dump_json(indent=2)
        (directory / "report.json").write_text(text, encoding="utf-8")
        quarantine.write(quarantine_directory)
    return report


def _chunks(path: Path, batch_rows: int) -> Iterator[tuple[int, pd.DataFrame]]:
    start = 0
    for batch in pq.ParquetFile(path).iter_batches(batch_size=batch_rows):
        yield start, batch.to_pandas()
        start += batch.num_rows


def _judge_chunk(
    frame: pd.DataFrame,
    start: int,
    suite: ExpectationSuite,
    repeats: Repeats,
    quarantine: Quarantine,
    tally: _Tally,
) -> np.ndarray[Any, Any]:
    """Return the mask of the rows to keep; the others go to quarantine with all their reasons."""
    reasons: dict[int, list[str]] = {}
    for finding in suite.check_rows(frame):
        for row in finding.rows:
            reasons.setdefault(row, []).append(finding.reason)
    for reason, mask in repeats.masks.items():
        for row in np.flatnonzero(mask[start : start + len(frame)]).tolist():
            reasons.setdefault(row, []).append(reason)
    _tally_chunk(frame, reasons, tally)
    for row in sorted(reasons):
        _set_aside(frame.iloc[row], reasons[row], start + row, quarantine)
    kept = np.ones(len(frame), dtype=bool)
    kept[list(reasons)] = False
    return kept


def _set_aside(row: pd.Series[Any], reasons: list[str], line: int, quarantine: Quarantine) -> None:
    """Put a row into quarantine under its first reason; the others stand in the detail."""
    quarantine.add(
        reasons[0],
        example_id=row["example_id"],
        detail=", ".join(reasons),
        source_file=row["source"],
        line=line,
        text=None if row["text"] is None else row["text"][:500],
        label=row["label"],
    )


def _tally_chunk(frame: pd.DataFrame, reasons: dict[int, list[str]], tally: _Tally) -> None:
    bad = sorted(reasons)
    tally.n_rows += len(frame)
    tally.n_kept += len(frame) - len(bad)
    for name in _COUNTED_COLUMNS:
        tally.totals[name].update(frame[name].dropna().tolist())
        tally.taken[name].update(frame[name].iloc[bad].dropna().tolist())
    for position in bad:
        for reason in reasons[position]:
            column, count, examples = tally.failures.get(reason, (reason.split("_")[0], 0, ()))
            shown = examples
            if len(examples) < _EXAMPLES:
                shown = (*examples, f"{frame['example_id'].iloc[position]}")
            tally.failures[reason] = (column, count + 1, shown)


def _report(
    path: Path,
    params: ValidateParams,
    suite: ExpectationSuite,
    repeats: Repeats,
    quarantine: Quarantine,
    tally: _Tally,
    n_rejected_before: int,
) -> ValidationReport:
    failures = [
        ExpectationFailure(expectation=reason, column=column, count=count, examples=examples)
        for reason, (column, count, examples) in sorted(tally.failures.items())
    ]
    if repeats.n_conflicting:
        failures.append(
            ExpectationFailure(
                expectation="one_text_several_labels",
                column="label",
                count=repeats.n_conflicting,
                examples=repeats.conflicting_ids,
                severity="warning",
            )
        )
    failures += _rare_labels(params, tally)
    blocked = _blocking_reasons(params, suite, quarantine, tally, n_rejected_before)
    return ValidationReport(
        dataset_digest=file_digest(path, "md5"),
        success=not blocked,
        n_rows=tally.n_rows + n_rejected_before,
        n_kept=tally.n_kept,
        failures=tuple(failures),
        quarantined=dict(sorted(quarantine.counts.items())),
        blocked_because=tuple(blocked),
    )


def _rare_labels(params: ValidateParams, tally: _Tally) -> list[ExpectationFailure]:
    rare = sorted(label for label, n in tally.kept_labels.items() if n < params.min_rows_per_label)
    if not rare:
        return []
    return [
        ExpectationFailure(
            expectation="rows_per_label",
            column="label",
            count=len(rare),
            examples=tuple(rare[:_EXAMPLES]),
            severity="warning",
        )
    ]


def _blocking_reasons(
    params: ValidateParams,
    suite: ExpectationSuite,
    quarantine: Quarantine,
    tally: _Tally,
    n_rejected_before: int,
) -> list[str]:
    n_all = tally.n_rows + n_rejected_before
    share = (quarantine.n_rows + n_rejected_before) / n_all if n_all else 1.0
    summary = {
        "n_rows": tally.n_kept,
        "n_labels": len(tally.kept_labels),
        "quarantined_share": share,
    }
    words = {
        "too_few_rows": f"{tally.n_kept} rows are left; {params.min_rows} are needed (min_rows)",
        "one_label_only": f"{len(tally.kept_labels)} label is left: {', '.join(tally.kept_labels)}"
        "; a classifier needs two",
        "too_much_quarantined": f"{share:.1%} of the rows would be set aside; the cap is "
        f"{params.max_quarantined_share:.1%} (max_quarantined_share)",
    }
    reasons = [words[finding.reason] for finding in suite.check_table(summary)]
    for name in _COUNTED_COLUMNS:
        for found in selective_values(
            tally.totals[name],
            tally.taken[name],
            alpha=params.selective_alpha,
            min_excess=params.selective_min_excess,
        ):
            reasons.append(_selective_reason(name, found))  # noqa: PERF401
    return reasons


def _selective_reason(name: str, found: SelectiveFinding) -> str:
    return (
        f"quarantine would take {found.n_quarantined} of {found.n_rows} rows of {name} "
        f"{found.value!r} ({found.share:.1%}, elsewhere {found.share_elsewhere:.1%}, "
        f"Fisher p = {found.p_value:.1g}): what is learnt would be biased"
    )
