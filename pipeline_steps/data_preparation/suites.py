"""The frozen suites that every version is judged on: made from test, or shift as split."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_steps.data_params import RESERVED_SUITES, SuitesParams
from pipeline_steps.data_preparation.examples import EXAMPLES_SCHEMA
from pipeline_steps.data_preparation.noisy import NoiseSuite, noisy_row
from pipeline_steps.data_preparation.rewritten import rewriter, targets_of
from pipeline_steps.data_preparation.split import (
    DECLARED,
    OUT_OF_SCOPE,
    SPLITS,
    TEST,
    TRAIN,
    VALID,
)
from pipeline_steps.errors import DataError
from pipeline_steps.files import atomic_directory, remove_partial_files
from pipeline_steps.noise.catalog import require_resources, resources_of
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.problems.problem import Problem

SUITES = Path("data/suites")
_BATCH_ROWS = 10_000
_Change = Callable[[dict[str, Any]], dict[str, Any]]


def build_suites(
    params: SuitesParams, root: Path, problem: str = "text_classification"
) -> list[str]:
    """Return the names of the suites written to ``data/suites``, with a manifest.

    Noise suites and rewritten ones hold the test rows under the same ids; shift suites are the rows
    that the split held out or that were declared. Below ``valid`` stand noisy copies of the valid
    rows: a search that is to find a robust model looks at those, and never at what versions are
    judged on. The manifest names the versions of the word lists that a suite was made with.

    Raises
    ------
    MissingDependencyError
        If a package that a kind of noise reads is not installed.
    DataError
        If two suites would have one name, or one has that of a split or of a report.
    """
    require_resources(noise.kind for noise in params.noise)
    noises = _suites_of(params)
    remove_partial_files(root / "data")
    with atomic_directory(root / SUITES) as directory:
        entries: list[dict[str, Any]] = []
        for path in _held_out(root):
            _refuse_taken(_name_of(path), entries)
            entries.append(_copy(path, directory))
        for noise in noises:
            _refuse_taken(noise.name, entries)
            test = root / SPLITS / f"{TEST}.parquet"
            entries.append(_noisy(test, get_problem(problem), noise, directory))
        for suite in params.rewritten:
            _refuse_taken(suite.name, entries)
            train = targets_of(root / SPLITS / f"{TRAIN}.parquet")
            rewrite = rewriter(suite, params.seed, train)
            entries.append(_made(root / SPLITS / f"{TEST}.parquet", suite.name, rewrite, directory))
        manifest = json.dumps(
            {"suites": entries, "noisy_valid": _noisy_valid(noises, root, problem, directory)},
            indent=2,
        )
        (directory / "manifest.json").write_text(manifest + "\n", encoding="utf-8")
    return [entry["name"] for entry in entries]


def _suites_of(params: SuitesParams) -> list[NoiseSuite]:
    return [
        NoiseSuite(name, noise.kind, rate, params.seed)
        for noise in params.noise
        for name, rate in noise.rates().items()
    ]


def _noisy_valid(
    noises: list[NoiseSuite], root: Path, problem: str, directory: Path
) -> list[dict[str, Any]]:
    valid = root / SPLITS / f"{VALID}.parquet"
    (directory / VALID).mkdir()
    entries = [_noisy(valid, get_problem(problem), noise, directory / VALID) for noise in noises]
    return [{**e, "name": f"{VALID}_{e['name']}", "file": f"{VALID}/{e['file']}"} for e in entries]


def _held_out(root: Path) -> list[Path]:
    """Return the partitions that are suites as they stand: all but train, valid and test."""
    found = sorted((root / SPLITS).glob("*.parquet"))
    return [path for path in found if path.stem not in (TRAIN, VALID, TEST)]


def _name_of(path: Path) -> str:
    """Return the name under which reports speak of a partition."""
    return path.stem.removeprefix(DECLARED).removeprefix(OUT_OF_SCOPE)


def _copy(path: Path, directory: Path) -> dict[str, Any]:
    """Copy a held-out partition as a suite; the name of its file says if it is out of scope."""
    name = path.stem.removeprefix(DECLARED)
    target = directory / f"{name}.parquet"
    target.write_bytes(path.read_bytes())
    return _entry(name, "shift", target)


def _noisy(test: Path, problem: Problem, noise: NoiseSuite, directory: Path) -> dict[str, Any]:
    target = directory / f"{noise.name}.parquet"
    _write(test, target, lambda row: noisy_row(row, problem, noise))
    entry = _entry(noise.name, "noise", target)
    resources = resources_of(noise.kind)
    return {**entry, "resources": resources} if resources else entry


def _made(test: Path, name: str, rewrite: _Change, directory: Path) -> dict[str, Any]:
    target = directory / f"{name}.parquet"
    _write(test, target, rewrite)
    return _entry(name, "rewritten", target)


def _write(test: Path, target: Path, change: _Change) -> None:
    """Write the test rows, each changed, in batches."""
    with pq.ParquetWriter(target, EXAMPLES_SCHEMA) as writer:
        for batch in pq.ParquetFile(test).iter_batches(batch_size=_BATCH_ROWS):
            rows = [change(row) for row in batch.to_pylist()]
            writer.write_table(pa.Table.from_pylist(rows, schema=EXAMPLES_SCHEMA))


def _entry(name: str, kind: str, path: Path) -> dict[str, Any]:
    rows = pq.read_metadata(path).num_rows
    return {"name": name, "kind": kind, "file": path.name, "n_examples": rows}


def _refuse_taken(name: str, entries: list[dict[str, Any]]) -> None:
    """Refuse a name that would put one report in the place of another."""
    fix = "rename it in suites or in the source's role in params.yaml"
    if name in RESERVED_SUITES:
        raise DataError(
            f"a suite is called {name}, which is the name of a split or of another report",
            expected=f"a name other than {', '.join(RESERVED_SUITES)}",
            fix=fix,
        )
    if name in (entry["name"].removeprefix(OUT_OF_SCOPE) for entry in entries):
        raise DataError(f"two suites are called {name}", expected="one suite a name", fix=fix)
