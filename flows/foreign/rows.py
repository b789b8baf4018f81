"""A user's files as rows to judge on, without a workspace: read, set aside, changed, written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.commands.raw_columns import find_columns
from flows.commands.raw_files import named_files
from flows.foreign.made_suites import MadeSuite, made_suites
from flows.stress import REPORTS
from pipeline_steps.data_params import SourceParams
from pipeline_steps.data_preparation.examples import EXAMPLES_SCHEMA, read_example
from pipeline_steps.data_preparation.readers import RawRow, RowReader
from pipeline_steps.digests import file_digest
from pipeline_steps.errors import ConfigurationError, DataError, counted
from pipeline_steps.fields import NotAValueError
from pipeline_steps.files import atomic_file
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.problems.problem import Problem
from pipeline_steps.types import DatasetRef, ReportKind

Row = dict[str, Any]
CLEAN = "test"
_SUITE = "suite:"


@dataclass(frozen=True)
class Judged:
    """One set of rows: where it came from, and how many were set aside, by reason."""

    name: str
    kind: ReportKind
    rows: tuple[Row, ...]
    source: str
    set_aside: Mapping[str, int]

    def n_alike(self, other: Judged) -> int:
        """Return how many rows are as those that stand in their place in another set."""
        return sum(mine == theirs for mine, theirs in zip(self.rows, other.rows, strict=True))

    def written(self, directory: Path) -> DatasetRef:
        """Return the reference to a file of the rows, below ``directory``."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = directory / f"{self.name}.parquet"
        with atomic_file(path) as temporary:
            pq.write_table(pa.Table.from_pylist(list(self.rows), EXAMPLES_SCHEMA), temporary)
        return DatasetRef(
            name=self.name,
            split="test",
            path=path,
            digest=file_digest(path),
            n_examples=len(self.rows),
            kind=self.kind,
        )


def read_judged(
    problem: str,
    data: Path,
    *,
    suites: Sequence[str] = (),
    columns: Mapping[str, str | None],
    noise: Sequence[str] = (),
    rewrite: Sequence[str] = (),
    seed: int = 0,
) -> list[Judged]:
    """Return the rows of the data, of each suite, and of the data with noise or rewritten.

    Parameters
    ----------
    problem : str
        Decides which columns are read.
    data : Path
        The clean rows.
    suites : sequence of str
        ``NAME=FILE``, rows of another kind.
    columns : mapping
        Field of ``ingest.columns`` -> column; needed ones are guessed if absent.
    noise, rewrite : sequence of str
        What is made of the clean rows, as :func:`made_suites` reads it.
    seed : int
        Same seed, same rows.

    Raises
    ------
    DataError
        If a file cannot be read, or none of its rows can be judged.
    ConfigurationError
        If a suite is not named as it must be, or does not go with the problem.
    """
    made = made_suites(problem, noise, rewrite, seed)
    files = named_files({"data": data}, suites, REPORTS)
    _refuse_repeated(
        [CLEAN, *(role.removeprefix(_SUITE) for role in files if role != "data")]
        + [suite.name for suite in made]
    )
    found = find_columns(list(files.values()), columns, problem)
    known = {field: column for field, column in found.model_dump().items() if column is not None}
    asked = get_problem(problem)
    judged = [_read(role, path, known, asked) for role, path in files.items()]
    return [*judged, *(_made(judged[0], suite) for suite in made)]


def _read(role: str, path: Path, columns: dict[str, str], problem: Problem) -> Judged:
    clean = role == "data"
    source = SourceParams(path=str(path), role="test" if clean else role)
    rows: list[Row] = []
    aside: Counter[str] = Counter()
    seen: set[str] = set()
    for raw in RowReader(path):
        row = _row(raw, source, columns, problem)
        reason = row if isinstance(row, str) else _flaw(row, problem, seen)
        if reason is None and not isinstance(row, str):
            rows.append(row)
            seen.add(row["example_id"])
        else:
            aside[str(reason)] += 1
    if not rows:
        raise DataError(
            f"none of {counted(aside.total(), 'row')} of {path} can be judged: "
            f"{', '.join(sorted(aside))}",
            expected=f"rows with {', '.join(columns)}",
            fix="name the columns: --text-column, --label-column, --column FIELD=NAME",
        )
    name = CLEAN if clean else role.removeprefix(_SUITE)
    return Judged(name, "clean" if clean else "shift", tuple(rows), str(path), dict(aside))


def _row(raw: Any, source: SourceParams, columns: dict[str, str], problem: Problem) -> Row | str:
    """Return a row, or why it is none."""
    if not isinstance(raw, RawRow):
        return str(raw.reason)
    try:
        return read_example(raw, source, columns, problem)[0]
    except NotAValueError as error:
        return error.reason


def _flaw(row: Row, problem: Problem, seen: set[str]) -> str | None:
    """Return why a row cannot be judged."""
    if not (row["text"] or "").strip():
        return "text_missing"
    if problem.has_label and not row["label"]:
        return "label_missing"
    if row["example_id"] in seen:
        return "id_repeated"
    return next(iter(problem.find_flaws(row)), None)


def _made(clean: Judged, suite: MadeSuite) -> Judged:
    return Judged(
        suite.name, suite.kind, suite.make(clean.rows), f"{clean.source}, {suite.said}", {}
    )


def _refuse_repeated(names: Sequence[str]) -> None:
    repeated = [name for name, n in Counter(names).items() if n > 1]
    if repeated:
        raise ConfigurationError(
            f"two sets of rows are called {repeated[0]}",
            expected=f"names of their own; {CLEAN} is the clean rows",
            fix="rename the suite, or name the noise or the rewriting once",
        )
