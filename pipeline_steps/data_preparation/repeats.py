"""Repeated ids, repeated rows and contradicting labels over a whole file, in bounded memory.

Rows are compared by 64-bit hashes in numpy arrays: 24 bytes a row. Two different rows share a hash
with a probability below 1e-6 in 5 million rows; every hit is set aside visibly, never dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

Array = np.ndarray[Any, Any]
_EXAMPLES = 5


@dataclass(frozen=True)
class Repeats:
    """Masks over all rows of a file, and how many texts carry several labels."""

    masks: dict[str, Array]
    n_conflicting: int
    conflicting_ids: tuple[str, ...]


def find_repeats(path: Path, batch_rows: int) -> Repeats:
    """Return which rows repeat an earlier row's id (``duplicate_id``) or content.

    ``duplicate_row``: the same text, pair, label and role stood before. The first of equal rows
    stays. Rows without text are never duplicates; they are set aside for that.
    """
    ids, contents, texts, missing = _hashes(path, batch_rows)
    duplicate_ids = _later_repeats(ids)
    duplicate_rows = _later_repeats(contents) & ~missing & ~duplicate_ids
    conflicting = _conflicting(texts, contents) & ~missing
    shown = np.flatnonzero(conflicting)[:_EXAMPLES]
    masks = {"duplicate_id": duplicate_ids, "duplicate_row": duplicate_rows}
    return Repeats(masks, int(conflicting.sum()), _ids_at(path, shown))


def _hashes(path: Path, batch_rows: int) -> tuple[Array, Array, Array, Array]:
    import pandas as pd

    ids, contents, texts, missing = [], [], [], []
    columns = ["example_id", "text", "text_pair", "label", "role"]
    for batch in pq.ParquetFile(path).iter_batches(batch_size=batch_rows, columns=columns):
        frame = batch.to_pandas()
        filled = frame.fillna("")
        text = filled["text"] + "\x1f" + filled["text_pair"]
        ids.append(pd.util.hash_array(frame["example_id"].to_numpy(dtype=object)))
        texts.append(pd.util.hash_array(text.to_numpy(dtype=object)))
        content = text + "\x1f" + filled["label"] + "\x1f" + filled["role"]
        contents.append(pd.util.hash_array(content.to_numpy(dtype=object)))
        missing.append(frame["text"].isna().to_numpy())
    if not ids:
        empty = np.zeros(0, dtype=np.uint64)
        return empty, empty, empty, np.zeros(0, dtype=bool)
    return (
        np.concatenate(ids),
        np.concatenate(contents),
        np.concatenate(texts),
        np.concatenate(missing),
    )


def _later_repeats(hashes: Array) -> Array:
    """Return the mask of the rows whose hash stood in an earlier row."""
    _, first = np.unique(hashes, return_index=True)
    repeats = np.ones(len(hashes), dtype=bool)
    repeats[first] = False
    return repeats


def _conflicting(texts: Array, contents: Array) -> Array:
    """Return the mask of the rows whose text stands in the file with another label, too."""
    pairs = np.unique(np.stack([texts, contents], axis=1), axis=0)[:, 0] if len(texts) else texts
    several, counts = np.unique(pairs, return_counts=True)
    return np.isin(texts, several[counts > 1])


def _ids_at(path: Path, rows: Array) -> tuple[str, ...]:
    if not len(rows):
        return ()
    ids = pq.read_table(path, columns=["example_id"])["example_id"]
    return tuple(ids[int(row)].as_py() for row in rows)
