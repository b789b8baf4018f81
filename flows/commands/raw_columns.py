"""Which columns a user's raw files have, and which of them hold what."""

from __future__ import annotations

import csv
import difflib
import gzip
import itertools
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from pipeline_steps.errors import DataError
from pipeline_steps.params import ColumnsParams

RAW_FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".conll": "conll",
}
_TEXT_NAMES = (
    *("text", "sentence", "utterance", "query", "message", "content", "question"),
    *("review", "comment", "body", "title", "description", "input"),
)
_LABEL_NAMES = (
    *("label", "labels", "intent", "category", "class", "target", "sentiment", "topic"),
    *("label_text", "tag", "output", "y"),
)
_HEAD_ROWS = 100
_HEAD_BYTES = 1 << 20


def find_columns(files: Sequence[Path], asked: Mapping[str, str | None]) -> ColumnsParams:
    """Return where text, label and the rest stand, the same for all files.

    Parameters
    ----------
    files : sequence of Path
        Raw files; the first one decides where a name has to be guessed.
    asked : mapping
        Field of :class:`ColumnsParams` -> column; text and label are guessed where ``None``.

    Raises
    ------
    DataError
        If a file cannot be read, lacks a column, or a guess is not possible.
    """
    present = column_names(files[0])
    text = asked.get("text") or _guess("text", _TEXT_NAMES, present, files[0])
    label = asked.get("label") or _guess("label", _LABEL_NAMES, present, files[0])
    given = {field: column for field, column in asked.items() if column is not None}
    columns = ColumnsParams(**{**given, "text": text, "label": label})
    wanted = [column for column in columns.model_dump().values() if column is not None]
    for file in files:
        _require(wanted, column_names(file), file)
    return columns


def raw_format(path: Path) -> str:
    """Return the format of a raw file, guessed from its name; a directory is ``hf_datasets``."""
    if path.is_dir():
        return "hf_datasets"
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix in RAW_FORMATS:
        return RAW_FORMATS[suffix]
    raise DataError(
        f"the format of {path} cannot be told from its name",
        expected=f"a name that ends in {', '.join(RAW_FORMATS)} (also with .gz), "
        "or a directory that `datasets` saved",
        fix="rename or convert the file, then run the command again",
    )


def column_names(path: Path) -> list[str]:
    """Return the names of the columns (or JSON fields) at the head of a raw file."""
    if not path.exists():
        raise DataError(f"there is no {path}", expected="a raw file", fix="mend the path")
    kind = raw_format(path)
    try:
        names = _READERS[kind](path)
    except (OSError, EOFError, zlib.error, ValueError, csv.Error) as error:
        raise DataError(
            f"{path} cannot be read as {kind}: {error}",
            expected=f"a whole file of the format {kind}, text in UTF-8",
            fix="mend or convert the file, then run the command again",
        ) from error
    if not names:
        raise DataError(
            f"{path} is empty", expected="a file with rows", fix="name a file with rows"
        )
    return names


def _guess(field: str, common: Sequence[str], present: Sequence[str], file: Path) -> str:
    """Return the first of the common names that the file has, whatever its case."""
    lowered = {name.lower(): name for name in reversed(present)}
    found = next((lowered[name] for name in common if name in lowered), None)
    if found is None:
        raise DataError(
            f"{file} has no column with a common name for the {field}; it has {_listed(present)}",
            expected=f"--{field}-column, or a column called {', '.join(common[:5])}, ...",
            fix=f"say which it is: --{field}-column NAME",
        )
    return found


def _require(wanted: Sequence[str], present: Sequence[str], file: Path) -> None:
    missing = [column for column in wanted if column not in present]
    if not missing:
        return
    near = difflib.get_close_matches(missing[0], present, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise DataError(
        f"{file} has no column {_listed(missing)}; it has {_listed(present)}",
        expected=f"the columns {_listed(wanted)} in every file",
        fix=f"name columns that exist, or rename them in the file{hint}",
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)


def _open_text(path: Path) -> IO[str]:
    """Open a file, plain or gzip, as strict UTF-8; a byte order mark is dropped."""
    if path.name.endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _delimited_names(delimiter: str) -> Callable[[Path], list[str]]:
    def names(path: Path) -> list[str]:
        with _open_text(path) as file:
            return next(csv.reader(file, delimiter=delimiter), [])

    return names


def _json_names(path: Path) -> list[str]:
    names: dict[str, None] = {}
    with _open_text(path) as file:
        lines = itertools.islice(iter(lambda: file.readline(_HEAD_BYTES), ""), _HEAD_ROWS)
        for line in lines:
            row = _json_row(line)
            names.update(dict.fromkeys(row))
    return list(names)


def _json_row(line: str) -> dict[str, Any]:
    """Return one row; a line that is not an object is for the ingest stage to set aside."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        return {}
    return row if isinstance(row, dict) else {}


def _parquet_names(path: Path) -> list[str]:
    import pyarrow.parquet as pq

    return list(pq.read_schema(path).names)


def _saved_dataset_names(path: Path) -> list[str]:
    """Return the features of a directory written by ``save_to_disk`` (of its first split)."""
    described = sorted(path.rglob("dataset_info.json"))
    if not described:
        raise ValueError("there is no dataset_info.json in it")
    features = json.loads(described[0].read_text(encoding="utf-8")).get("features")
    return list(features or {})


_READERS: dict[str, Callable[[Path], list[str]]] = {
    "csv": _delimited_names(","),
    "tsv": _delimited_names("\t"),
    "jsonl": _json_names,
    "parquet": _parquet_names,
    "conll": lambda _path: ["text", "label"],
    "hf_datasets": _saved_dataset_names,
}
