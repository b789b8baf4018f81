"""Repeated ids, repeated rows and contradicting labels over a whole file, in bounded memory.

A first pass keeps 64-bit hashes in numpy arrays, 33 bytes a row; 16 of them stay. Two different
rows may share such a hash, so a second pass looks at the rows that may be repeats again and
compares 128-bit digests of a cryptographic hash: no row is called a repeat because of a collision.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline_steps.data_preparation.chunks import read_chunks

Array = np.ndarray[Any, Any]
DUPLICATE_ID, DUPLICATE_ROW = "duplicate_id", "duplicate_row"
_CONTENT = ["text", "text_pair", "label", "target", "role"]


@dataclass(frozen=True)
class Repeats:
    """Masks over all rows of a file, and the hashes that tell texts with several labels."""

    masks: dict[str, Array]
    texts: Array
    labelled: Array

    def conflicting(self, kept: Array) -> Array:
        """Return which of the kept rows have a text that another kept row labels otherwise.

        Rows that are set aside contradict nobody: nothing is learnt from them. This goes by hash
        alone: it is a warning.

        Parameters
        ----------
        kept : array
            (n,) bool, over all rows of the file.
        """
        found = np.zeros(len(kept), dtype=bool)
        found[kept] = _conflicting(self.texts[kept], self.labelled[kept])
        return found


@dataclass(frozen=True)
class _Hashes:
    """64-bit hashes of each row: (n,) each."""

    ids: Array
    texts: Array
    labelled: Array
    contents: Array
    without_text: Array


def find_repeats(path: Path, batch_rows: int, *, target_is_input: bool = False) -> Repeats:
    """Return which rows repeat an earlier row's id (``duplicate_id``) or content.

    ``duplicate_row``: the same text, pair, label, target and role stood before, in a row that is no
    repeated id itself. The first of equal rows stays. Rows without text repeat nothing; they are
    set aside for that. Where the target is read by the model, it belongs to the text.
    """
    hashes = _hashes(path, batch_rows, target_is_input)
    return Repeats(_exact_masks(path, batch_rows, hashes), hashes.texts, hashes.labelled)


def _hashes(path: Path, batch_rows: int, target_is_input: bool) -> _Hashes:
    parts = [_hash_batch(batch, target_is_input) for batch in _batches(path, batch_rows)]
    if not parts:
        none = np.zeros(0, dtype=np.uint64)
        return _Hashes(none, none, none, none, np.zeros(0, dtype=bool))
    return _Hashes(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _batches(path: Path, batch_rows: int) -> Iterator[pa.RecordBatch]:
    return read_chunks(path, batch_rows, ["example_id", *_CONTENT])


def _hash_batch(batch: pa.RecordBatch, target_is_input: bool) -> tuple[Array, ...]:
    import pandas as pd

    frame = batch.to_pandas()
    filled = frame.fillna("")
    text = filled["text"] + "\x1f" + filled["text_pair"]
    text = text + "\x1f" + filled["target"] if target_is_input else text
    labelled = text + "\x1f" + filled["label"] + "\x1f" + filled["target"]
    hashed = (filled["example_id"], text, labelled, labelled + "\x1f" + filled["role"])
    hashes = [pd.util.hash_array(column.to_numpy(dtype=object)) for column in hashed]
    return (*hashes, frame["text"].isna().to_numpy())


def _exact_masks(path: Path, batch_rows: int, hashes: _Hashes) -> dict[str, Array]:
    """Return the masks of repeated ids and rows, comparing all rows whose hashes repeat."""
    may_repeat_id = _shared(hashes.ids)
    may_repeat_row = _shared(hashes.contents) & ~hashes.without_text
    masks = {name: np.zeros(len(hashes.ids), bool) for name in (DUPLICATE_ID, DUPLICATE_ROW)}
    ids: set[bytes] = set()
    contents: set[bytes] = set()
    for row, example_id, content in _rows_at(path, batch_rows, may_repeat_id | may_repeat_row):
        if may_repeat_id[row] and example_id is not None:
            masks[DUPLICATE_ID][row] = _seen(ids, example_id)
        if may_repeat_row[row]:
            known = _digest(content) in contents
            masks[DUPLICATE_ROW][row] = known
            if not known and not masks[DUPLICATE_ID][row]:
                contents.add(_digest(content))
    return masks


def _shared(hashes: Array) -> Array:
    """Return the mask of the values that stand in an array more than once."""
    _, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    return np.asarray(counts[inverse] > 1)


def _rows_at(path: Path, batch_rows: int, chosen: Array) -> Iterator[tuple[int, Any, Any]]:
    """Yield row number, id and content of the chosen rows."""
    if not chosen.any():
        return
    start = 0
    for batch in _batches(path, batch_rows):
        mask = chosen[start : start + batch.num_rows]
        numbers = (np.flatnonzero(mask) + start).tolist()
        for number, row in zip(numbers, batch.filter(pa.array(mask)).to_pylist(), strict=True):
            yield number, row["example_id"], [row[name] for name in _CONTENT]
        start += batch.num_rows


def _seen(known: set[bytes], value: Any) -> bool:
    """Return whether the value was met before, and remember it."""
    digest = _digest(value)
    if digest in known:
        return True
    known.add(digest)
    return False


def _digest(value: Any) -> bytes:
    return hashlib.blake2b(repr(value).encode(), digest_size=16).digest()


def _conflicting(texts: Array, labelled: Array) -> Array:
    """Return the mask of the rows whose text stands there with another label, too."""
    _, first = np.unique(labelled, return_index=True)
    several, counts = np.unique(texts[first], return_counts=True)
    return np.isin(texts, several[counts > 1])
