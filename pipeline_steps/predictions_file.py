"""Predictions on disk: one Parquet file a checkpoint and dataset, read without torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_steps.digests import file_digest
from pipeline_steps.errors import DataError
from pipeline_steps.files import atomic_file
from pipeline_steps.types import Predictions, ReportKind

METADATA_COLUMNS = ("source", "domain", "timestamp", "group")


@dataclass(frozen=True)
class PredictionTable:
    """One model's outputs on one dataset, in dataset order.

    ``truth`` and ``predicted`` are label names; ``logits`` has one column for each of ``labels``.
    """

    example_ids: np.ndarray[Any, Any]  # (n,) str
    truth: np.ndarray[Any, Any]  # (n,) str
    logits: np.ndarray[Any, Any]  # (n, n_labels) float32
    labels: tuple[str, ...]
    n_tokens: np.ndarray[Any, Any]  # (n,) int32
    columns: dict[str, np.ndarray[Any, Any]]  # metadata for slices, str or None (ISO 8601 times)

    @property
    def predicted(self) -> np.ndarray[Any, Any]:
        """The label with the largest logit; the first of equals."""
        names = np.asarray(self.labels, dtype=object)
        return np.asarray(names[self.logits.argmax(axis=1)])


def write_predictions(
    path: Path,
    table: PredictionTable,
    *,
    checkpoint_digest: str,
    dataset_digest: str,
    suite: str,
    kind: ReportKind,
) -> Predictions:
    """Return a reference to ``path`` after writing the table to it, whole or not at all."""
    metadata = {
        "labels": json.dumps(table.labels, ensure_ascii=False),
        "checkpoint_digest": checkpoint_digest,
        "dataset_digest": dataset_digest,
        "suite": suite,
        "kind": kind,
    }
    arrow = pa.table(_columns(table)).replace_schema_metadata(metadata)
    with atomic_file(path) as temporary:
        pq.write_table(arrow, temporary)
    return describe_predictions(path)


def describe_predictions(path: Path) -> Predictions:
    """Return the reference that a predictions file describes itself with.

    Raises
    ------
    DataError
        If the file is missing, truncated or not a predictions file.
    """
    file = _open(path)
    metadata = _metadata(path, file.schema_arrow)
    return Predictions(
        path=path,
        digest=file_digest(path),
        n_examples=file.metadata.num_rows,
        checkpoint_digest=metadata["checkpoint_digest"],
        dataset_digest=metadata["dataset_digest"],
        suite=metadata["suite"],
        kind=cast("ReportKind", metadata["kind"]),  # the model checks it
    )


def read_predictions(source: Path | Predictions) -> PredictionTable:
    """Return the table in a predictions file.

    Raises
    ------
    DataError
        If the file is missing, truncated, foreign, or not the one that a reference names.
    """
    path = source.path if isinstance(source, Predictions) else source
    if isinstance(source, Predictions):
        _refuse_changed(source)
    labels, arrow = _read(path)
    logits = arrow["logits"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return PredictionTable(
        example_ids=_strings(arrow["example_id"]),
        truth=_strings(arrow["truth"]),
        logits=logits.reshape(arrow.num_rows, len(labels)),
        labels=labels,
        n_tokens=arrow["n_tokens"].to_numpy(),
        columns={name: _strings(arrow[name]) for name in METADATA_COLUMNS},
    )


def _columns(table: PredictionTable) -> dict[str, Any]:
    n, width = table.logits.shape
    flat = pa.array(np.ascontiguousarray(table.logits, dtype=np.float32).reshape(-1))
    return {
        "example_id": pa.array(table.example_ids.tolist(), pa.string()),
        "truth": pa.array(table.truth.tolist(), pa.string()),
        "predicted": pa.array(table.predicted.tolist(), pa.string()),
        "logits": pa.FixedSizeListArray.from_arrays(flat, width) if n else _no_logits(width),
        "n_tokens": pa.array(table.n_tokens, pa.int32()),
        **{
            name: pa.array(table.columns.get(name, np.full(n, None)).tolist(), pa.string())
            for name in METADATA_COLUMNS
        },
    }


def _no_logits(width: int) -> pa.Array:
    return pa.array([], pa.list_(pa.float32(), width))


def _strings(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    return np.array(column.to_pylist(), dtype=object)


def _refuse_changed(reference: Predictions) -> None:
    _open(reference.path)  # a missing or foreign file is named as such first
    if file_digest(reference.path) != reference.digest:
        raise DataError(
            f"{reference.path} has changed since it was written",
            expected=f"the content with sha256 {reference.digest}",
            fix=f"remove {reference.path} and run the command again; it is predicted anew",
        )


def _read(path: Path) -> tuple[tuple[str, ...], pa.Table]:
    """Return the labels and the columns, whose types fit the labels."""
    file = _open(path)
    labels = tuple(json.loads(_metadata(path, file.schema_arrow)["labels"]))
    expected = _schema(len(labels))
    if file.schema_arrow.remove_metadata() != expected:
        raise _foreign(path, "its columns are not those of predictions with these labels")
    try:
        return labels, file.read()
    except (OSError, pa.ArrowInvalid) as error:
        raise _foreign(path, str(error)) from error


def _schema(width: int) -> pa.Schema:
    texts = ("example_id", "truth", "predicted")
    return pa.schema(
        [(name, pa.string()) for name in texts]
        + [("logits", pa.list_(pa.float32(), width)), ("n_tokens", pa.int32())]
        + [(name, pa.string()) for name in METADATA_COLUMNS]
    )


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise _foreign(path, str(error)) from error


def _metadata(path: Path, schema: pa.Schema) -> dict[str, str]:
    metadata = {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}
    missing = {"labels", "checkpoint_digest", "dataset_digest", "suite", "kind"} - metadata.keys()
    if missing:
        raise _foreign(path, f"its metadata lack {', '.join(sorted(missing))}")
    return metadata


def _foreign(path: Path, why: str) -> DataError:
    return DataError(
        f"{path} cannot be read as a predictions file: {why}",
        expected="a Parquet file as inference writes it",
        fix=f"remove {path} and run the command again; it is predicted anew",
    )
