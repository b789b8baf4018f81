"""Judges a file of examples: bad rows to quarantine, a bad file to a refusal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_steps.data_params import ValidateParams
from pipeline_steps.data_preparation.chunks import read_chunks
from pipeline_steps.data_preparation.examples import EXAMPLES_SCHEMA
from pipeline_steps.data_preparation.expectations import ExpectationSuite
from pipeline_steps.data_preparation.ingest import INGESTED, Progress, ignore_progress
from pipeline_steps.data_preparation.ingest import QUARANTINE as INGEST_QUARANTINE
from pipeline_steps.data_preparation.quarantine import Quarantine
from pipeline_steps.data_preparation.repeats import Repeats, find_repeats
from pipeline_steps.data_preparation.tally import NO_UNREAD_ROWS, Tally, UnreadRows
from pipeline_steps.data_preparation.verdict import (
    blocking_reasons,
    lost_share,
    report_on,
    warnings_on,
)
from pipeline_steps.errors import DataError, ValidationBlockedError
from pipeline_steps.files import atomic_directory, remove_partial_files
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.problems.problem import Problem
from pipeline_steps.types import ValidationReport

if TYPE_CHECKING:
    import pandas as pd

VALIDATED = Path("data/validated")
QUARANTINE = Path("data/quarantine/validate")
_TEXT_CHARACTERS = 500


def validate(
    params: ValidateParams, problem: str, root: Path, *, progress: Progress = ignore_progress
) -> ValidationReport:
    """Return what the expectation suite found in the ingested examples of a workspace.

    Raises
    ------
    DataError
        If nothing was ingested, or the file is not one of examples.
    ValidationBlockedError
        If the file as a whole is refused; the report and the quarantine are written before.
    """
    remove_partial_files(root / VALIDATED.parent)
    remove_partial_files(root / QUARANTINE.parent)
    report = validate_examples(
        root / INGESTED / "examples.parquet",
        params,
        problem,
        root / VALIDATED,
        quarantine_directory=root / QUARANTINE,
        unread=_unread_rows(root / INGESTED / "report.json"),
        progress=progress,
    )
    if report.blocked_because:
        raise ValidationBlockedError(
            "the data were refused:\n" + "\n".join(f"  - {r}" for r in report.blocked_because),
            expected="data that meet the expectation suite (section validate of params.yaml)",
            fix=f"see the rows in {QUARANTINE}/rows.parquet and {INGEST_QUARANTINE}/rows.parquet "
            f"(counts in {VALIDATED}/report.json), mend the raw file or the bound that is named "
            "in brackets, then: holdfast prepare",
        )
    return report


def validate_examples(
    path: Path,
    params: ValidateParams,
    problem: str,
    output: Path,
    *,
    quarantine_directory: Path,
    unread: UnreadRows = NO_UNREAD_ROWS,
    progress: Progress = ignore_progress,
) -> ValidationReport:
    """Return the report on any examples file, and write kept and set-aside rows.

    Parameters
    ----------
    path : Path
        Examples (Parquet); read in chunks of ``params.batch_rows``, up to three times. Where an
        ``origins.parquet`` stands beside it, quarantined rows name their line in the raw file.
    params : ValidateParams
        The bounds.
    problem : str
        Decides the suite.
    output : Path
        Directory for ``examples.parquet`` (kept rows) and ``report.json``.
    quarantine_directory : Path
        Directory for the rows set aside.
    unread : UnreadRows
        Rows that could not even be read; they count in the quarantined share.
    progress : callable
        Called with the number of rows judged so far.

    Raises
    ------
    DataError
        If the file does not exist, or is not one of examples.
    """
    _require_examples(path)
    asked = get_problem(problem)
    repeats = find_repeats(path, params.batch_rows, target_is_input=asked.target_is_input)
    judge = _Judge(ExpectationSuite(problem, params), repeats, asked)
    judge.tally.add_unread(unread)
    with atomic_directory(output) as directory:
        kept = np.ones(len(repeats.texts), dtype=bool)
        with pq.ParquetWriter(directory / "examples.parquet", EXAMPLES_SCHEMA) as writer:
            for start, batch, origins in _chunks(path, params.batch_rows):
                end = start + batch.num_rows
                kept[start:end] = judge.judge(batch.to_pandas(), start, origins)
                writer.write_batch(batch.filter(pa.array(kept[start:end])))
                progress(end)
        blocked = blocking_reasons(params, judge.suite, judge.tally)
        warnings = warnings_on(path, repeats.conflicting(kept), unread, judge.tally.problem)
        report = report_on(path, params, judge.tally, warnings, blocked)
        text = _with_details(report, params, judge.tally)
        (directory / "report.json").write_text(text, encoding="utf-8")
        judge.quarantine.write(quarantine_directory)
    return report


def _unread_rows(report: Path) -> UnreadRows:
    try:
        content = json.loads(report.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise _nothing_ingested(report) from error
    return UnreadRows(
        by_reason=content["rejected"],
        by_value=content.get("rejected_by", {}),
        n_unparsed_timestamps=content.get("unparsed_timestamps", 0),
        unparsed_timestamps=content.get("unparsed_timestamp_examples", ()),
        n_repaired=content.get("repaired", 0),
        repaired=content.get("repaired_examples", ()),
    )


def _nothing_ingested(path: Path) -> DataError:
    return DataError(
        f"there is no {path}",
        expected="examples that were ingested",
        fix="holdfast prepare",
    )


def _require_examples(path: Path) -> None:
    try:
        schema = pq.read_schema(path)
    except FileNotFoundError as error:
        raise _nothing_ingested(path) from error
    except pa.ArrowInvalid as error:
        raise DataError(
            f"{path} is corrupt or truncated: {error}",
            expected="a Parquet file of examples",
            fix="remove it, then: holdfast prepare",
        ) from error
    if not schema.equals(EXAMPLES_SCHEMA):
        raise DataError(
            f"{path} has the columns {', '.join(schema.names)}",
            expected=f"the columns of examples: {EXAMPLES_SCHEMA.to_string()}",
            fix="name a file that ingest wrote",
        )


def _chunks(
    path: Path, batch_rows: int
) -> Iterator[tuple[int, pa.RecordBatch, pa.RecordBatch | None]]:
    """Yield chunks with the number of their first row and, where they are known, their origins."""
    start, beside = 0, path.with_name("origins.parquet")
    origins = read_chunks(beside, batch_rows) if beside.exists() else None
    for batch in read_chunks(path, batch_rows):
        yield start, batch, None if origins is None else next(origins)
        start += batch.num_rows


@dataclass
class _Judge:
    """Judges chunk after chunk."""

    suite: ExpectationSuite
    repeats: Repeats
    problem: Problem

    def __post_init__(self) -> None:
        self.quarantine = Quarantine()
        self.tally = Tally(self.problem)

    def judge(
        self, frame: pd.DataFrame, start: int, origins: pa.RecordBatch | None
    ) -> np.ndarray[Any, Any]:
        """Return the mask of the rows to keep; the others go to quarantine with all reasons."""
        reasons: dict[int, list[str]] = {}
        for finding in self.suite.check_rows(frame):
            for row in finding.rows:
                reasons.setdefault(row, []).append(finding.reason)
        for reason, mask in self.repeats.masks.items():
            for row in np.flatnonzero(mask[start : start + len(frame)]).tolist():
                reasons.setdefault(row, []).append(reason)
        self.tally.add_chunk(frame, reasons)
        self._set_aside(frame, reasons, start, origins)
        kept = np.ones(len(frame), dtype=bool)
        kept[list(reasons)] = False
        return kept

    def _set_aside(
        self,
        frame: pd.DataFrame,
        reasons: dict[int, list[str]],
        start: int,
        origins: pa.RecordBatch | None,
    ) -> None:
        """Put rows into quarantine under their first reason; all of them stand in the detail."""
        positions = sorted(reasons)
        rows = frame.iloc[positions]
        where = None if origins is None else origins.take(pa.array(positions, pa.int64()))
        places = (
            [{"line": start + p + 1} for p in positions] if where is None else where.to_pylist()
        )
        columns = (rows["example_id"], rows["text"], rows["label"])
        for position, place, example_id, text, label in zip(
            positions, places, *columns, strict=True
        ):
            self.quarantine.add(
                reasons[position][0],
                example_id=example_id,
                detail=", ".join(reasons[position]),
                text=text if text is None else text[:_TEXT_CHARACTERS],
                label=label,
                **place,
            )


def _with_details(report: ValidationReport, params: ValidateParams, tally: Tally) -> str:
    """Return the report as JSON with the numbers that it rests on."""
    details = {
        "labels": dict(sorted(tally.kept_labels.items())),
        "n_lost": tally.n_lost,
        "lost_share": lost_share(tally),
        "bounds": params.model_dump(mode="json"),
    }
    return json.dumps({**report.model_dump(mode="json"), **details}, indent=2)
