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
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class PredictionTable:
    """One model's outputs on one dataset, in dataset order.

    ``truth`` and ``predicted`` are label names; ``logits`` has one column for each of ``labels``.
    """

    example_ids: Array  # (n,) str
    truth: Array  # (n,) str
    logits: Array  # (n, n_labels) float32
    labels: tuple[str, ...]
    n_tokens: Array  # (n,) int32
    columns: dict[str, Array]  # metadata for slices, str or None (ISO 8601 times)

    @property
    def predicted(self) -> Array:
        """The label with the largest logit; the first of equals."""
        names = np.asarray(self.labels, dtype=object)
        return np.asarray(names[self.logits.argmax(axis=1)])

    @property
    def score(self) -> Array:
        """The probability of the predicted label, (n,)."""
        shifted = np.exp(self.logits.astype(np.float64) - self.logits.max(axis=1, keepdims=True))
        return np.asarray(1.0 / shifted.sum(axis=1))


@dataclass(frozen=True)
class StructuredTable:
    """One model's answers on one dataset, in dataset order, where an answer is more than a label.

    ``truth`` and ``predicted`` are JSON, ``score`` is the confidence in the whole answer.
    """

    example_ids: Array  # (n,) str
    truth: Array  # (n,) str
    predicted: Array  # (n,) str
    score: Array  # (n,) float, 0 to 1
    labels: tuple[str, ...]
    n_tokens: Array  # (n,) int32
    columns: dict[str, Array]


AnyTable = PredictionTable | StructuredTable


def write_predictions(  # noqa: PLR0913 - keywords
    path: Path,
    table: AnyTable,
    *,
    checkpoint_digest: str,
    dataset_digest: str,
    suite: str,
    kind: ReportKind,
    problem: str = "text_classification",
    code: str = "",
) -> Predictions:
    """Return a reference to ``path`` after writing the table to it, whole or not at all.

    ``code`` is the version of the code that predicted.
    """
    metadata = {
        "labels": json.dumps(table.labels, ensure_ascii=False),
        "checkpoint_digest": checkpoint_digest,
        "dataset_digest": dataset_digest,
        "suite": suite,
        "kind": kind,
        "problem": problem,
        "code": code,
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
        problem=metadata.get("problem", "text_classification"),
        code=metadata.get("code", ""),
    )


def read_predictions(source: Path | Predictions) -> AnyTable:
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
    shared: dict[str, Any] = {
        "example_ids": _strings(arrow["example_id"]),
        "truth": _strings(arrow["truth"]),
        "labels": labels,
        "n_tokens": arrow["n_tokens"].to_numpy(),
        "columns": {name: _strings(arrow[name]) for name in METADATA_COLUMNS},
    }
    if "score" in arrow.column_names:
        predicted, score = _strings(arrow["predicted"]), arrow["score"].to_numpy()
        return StructuredTable(**shared, predicted=predicted, score=score)
    logits = arrow["logits"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return PredictionTable(**shared, logits=logits.reshape(arrow.num_rows, len(labels)))


def _columns(table: AnyTable) -> dict[str, Any]:
    n = len(table.truth)
    return {
        "example_id": pa.array(table.example_ids.tolist(), pa.string()),
        "truth": pa.array(table.truth.tolist(), pa.string()),
        "predicted": pa.array(table.predicted.tolist(), pa.string()),
        **_outputs(table),
        "n_tokens": pa.array(table.n_tokens, pa.int32()),
        **{
            name: pa.array(table.columns.get(name, np.full(n, None)).tolist(), pa.string())
            for name in METADATA_COLUMNS
        },
    }


def _outputs(table: AnyTable) -> dict[str, pa.Array]:
    """Return the column that says how sure the model was: logits, or a score."""
    if isinstance(table, StructuredTable):
        return {"score": pa.array(table.score, pa.float64())}
    n, width = table.logits.shape
    if not n:
        return {"logits": pa.array([], pa.list_(pa.float32(), width))}
    flat = pa.array(np.ascontiguousarray(table.logits, dtype=np.float32).reshape(-1))
    return {"logits": pa.FixedSizeListArray.from_arrays(flat, width)}


def _strings(column: pa.ChunkedArray) -> Array:
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
    if file.schema_arrow.remove_metadata() not in _schemas(len(labels)):
        raise _foreign(path, "its columns are not those of predictions with these labels")
    try:
        return labels, file.read()
    except (OSError, pa.ArrowInvalid) as error:
        raise _foreign(path, str(error)) from error


def _schemas(width: int) -> list[pa.Schema]:
    """Return the columns of both forms: logits, and structured answers."""
    texts = [(name, pa.string()) for name in ("example_id", "truth", "predicted")]
    rest = [("n_tokens", pa.int32()), *((name, pa.string()) for name in METADATA_COLUMNS)]
    outputs = (("logits", pa.list_(pa.float32(), width)), ("score", pa.float64()))
    return [pa.schema([*texts, output, *rest]) for output in outputs]


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
