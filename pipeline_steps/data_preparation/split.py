"""train, valid, test and the held-out shift rows: by role, group, time and near-duplicate cluster.

Rows with a declared role keep it. ``auto`` rows are split; declared training rows are, too, for a
partition that no file was declared for. Near duplicates never stand on both sides: clusters of
split rows stay together, and training rows that repeat a held-out row are set aside.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline_steps.data_params import SplitParams
from pipeline_steps.data_preparation.assignment import assign, components
from pipeline_steps.data_preparation.examples import EXAMPLES_SCHEMA
from pipeline_steps.data_preparation.near_duplicates import Clusters, find_clusters
from pipeline_steps.data_preparation.quarantine import Quarantine
from pipeline_steps.data_preparation.validate import VALIDATED
from pipeline_steps.errors import DataError, counted
from pipeline_steps.files import atomic_directory, remove_partial_files
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.problems.problem import Problem

Array = np.ndarray[Any, Any]
SPLITS = Path("data/splits")
QUARANTINE = Path("data/quarantine/split")
TRAIN, VALID, TEST = "train", "valid", "test"
SHIFT_TIME, SHIFT_DOMAIN, SHIFT_GROUP = "shift_time", "shift_domain", "shift_group"
DECLARED = "declared__"
OUT_OF_SCOPE = "out_of_scope__"
_PREFIXES = {"suite:": DECLARED, "out_of_scope:": OUT_OF_SCOPE}
_SET_ASIDE = ""
_BATCH_ROWS = 50_000


@dataclass
class _Rows:
    """The columns that decide where a row goes; n rows."""

    ids: pa.ChunkedArray
    texts: pa.ChunkedArray
    labels: Array  # (n,) index into label_names
    label_names: list[str]
    groups: Array  # (n,) int, -1 for none
    domains: Array  # (n,) object
    group_names: Array  # (n,) object, as the data name them
    times: Array  # (n,) datetime64 with NaT
    parts: Array  # (n,) object: the partition, "auto" until decided


def split(params: SplitParams, root: Path, problem: str = "text_classification") -> dict[str, int]:
    """Return the rows of each partition of the validated examples of a workspace.

    Raises
    ------
    DataError
        If a partition is empty, a held-out row has a label that no training row has, or a row out
        of scope has a label that one has.
    """
    remove_partial_files(root / "data")
    path = root / VALIDATED / "examples.parquet"
    rows = _load(path, get_problem(problem))
    clusters = find_clusters(rows.texts, params.near_duplicates)
    _hold_out_shift(rows, params)
    _split_auto_rows(rows, clusters, params)
    quarantine = _set_aside_repeats(rows, clusters)
    _refuse_unusable(rows)
    quarantine.write(root / QUARANTINE)
    _write(path, rows, clusters, quarantine, root / SPLITS)
    return dict(sorted(Counter(part for part in rows.parts.tolist() if part).items()))


def _load(path: Path, problem: Problem) -> _Rows:
    table = pq.read_table(path)
    # Rows without a label are all of one kind: they are split without regard to labels.
    labels = pc.fill_null(table["label"], "").combine_chunks().dictionary_encode()
    named = table["group"]
    if problem.keeps_texts_together and named.null_count == len(named):
        named = table["text"]
    groups = named.combine_chunks().dictionary_encode()
    parts = np.array(table["role"].to_pylist(), dtype=object)
    pairs = pc.fill_null(table["text_pair"], "")
    return _Rows(
        ids=table["example_id"],
        texts=pc.binary_join_element_wise(table["text"], pairs, " "),
        labels=labels.indices.to_numpy(),
        label_names=labels.dictionary.to_pylist(),
        groups=pc.fill_null(groups.indices, -1).to_numpy(),
        domains=np.array(table["domain"].to_pylist(), dtype=object),
        group_names=np.array(table["group"].to_pylist(), dtype=object),
        times=table["timestamp"].to_numpy(),
        parts=_as_partitions(parts),
    )


def _as_partitions(roles: Array) -> Array:
    """Return roles as partitions; declared training rows are split where a partition is missing.

    Where rows to be split are there too, declared training rows are learnt from, all of them.
    """
    declared = set(roles.tolist())
    parts = roles.copy()
    for role in declared:
        for prefix, name in _PREFIXES.items():
            if role.startswith(prefix):
                parts[roles == role] = name + role.removeprefix(prefix)
    if TRAIN in declared and "auto" not in declared and not {VALID, TEST} <= declared:
        parts[parts == TRAIN] = "auto"
    return parts


def _hold_out_shift(rows: _Rows, params: SplitParams) -> None:
    """Move rows of held-out domains and groups, and the latest rows, out of what is split."""
    for values, asked, name in (
        (rows.domains, params.shift_domains, SHIFT_DOMAIN),
        (rows.group_names, params.shift_groups, SHIFT_GROUP),
    ):
        auto = rows.parts == "auto"
        _refuse_unknown(values[auto], asked, f"split.{name}s")
        rows.parts[auto & np.isin(values, list(asked))] = name
    dated = np.flatnonzero((rows.parts == "auto") & ~np.isnat(rows.times))
    n_late = int(len(dated) * params.shift_time_fraction)
    if n_late:
        latest = np.sort(rows.times[dated])[-n_late]
        rows.parts[dated[rows.times[dated] >= latest]] = SHIFT_TIME


def _refuse_unknown(values: Array, asked: Sequence[str], parameter: str) -> None:
    """Refuse what no row is of: the suite would be missing, and nobody would be told."""
    known = {value for value in values.tolist() if value is not None}
    unknown = [name for name in asked if name not in known]
    if unknown:
        shown = ", ".join(sorted(known)[:10]) or "none: the data name none"
        raise DataError(
            f"{parameter} names {', '.join(unknown)}, and no row that is to be split is of it",
            expected=f"names that those rows have ({shown})",
            fix=f"correct {parameter} in params.yaml, or map the column in ingest.columns",
        )


def _split_auto_rows(rows: _Rows, clusters: Clusters, params: SplitParams) -> None:
    auto = np.flatnonzero(rows.parts == "auto")
    if not len(auto):
        return
    fractions = {VALID: params.valid_fraction, TEST: params.test_fraction}
    shares = {name: f for name, f in fractions.items() if not (rows.parts == name).any()}
    groups = rows.groups[auto] if params.by_group else np.full(len(auto), -1)
    numbers = assign(
        components(clusters.of_row[auto], groups),
        rows.labels[auto],
        _order_keys(rows.ids.take(pa.array(auto)), params.seed),
        shares,
        rows.labels[_surely_learnt(rows, clusters)],
    )
    rows.parts[auto] = np.array([TRAIN, *shares], dtype=object)[numbers]


def _surely_learnt(rows: _Rows, clusters: Clusters) -> Array:
    """Return (n,) bool: declared training rows that cannot be set aside as repeats."""
    train = rows.parts == TRAIN
    return np.asarray(train & ~np.isin(clusters.of_row, clusters.of_row[~train]))


def _order_keys(ids: pa.ChunkedArray, seed: int) -> Array:
    """Return random keys (n,) uint64 that depend on seed and id only."""
    prefix = f"{seed}:".encode()
    keys = [
        int.from_bytes(hashlib.blake2b(prefix + i.encode(), digest_size=8).digest(), "little")
        for i in ids.to_pylist()
    ]
    return np.array(keys, dtype=np.uint64)


def _set_aside_repeats(rows: _Rows, clusters: Clusters) -> Quarantine:
    """Set aside training and validation rows that are near duplicates of held-out rows."""
    quarantine = Quarantine()
    held_out = ~np.isin(rows.parts, [TRAIN, VALID])
    for learnt_from, held in ((VALID, held_out), (TRAIN, held_out | (rows.parts == VALID))):
        partners = dict(zip(clusters.of_row[held].tolist(), np.flatnonzero(held), strict=True))
        candidates = np.flatnonzero(rows.parts == learnt_from)
        for row in candidates[np.isin(clusters.of_row[candidates], list(partners))].tolist():
            partner = int(partners[int(clusters.of_row[row])])
            quarantine.add(
                f"near_duplicate_of_{rows.parts[partner]}",
                example_id=rows.ids[row].as_py(),
                detail=f"{learnt_from} row repeats {rows.ids[partner].as_py()}",
                text=rows.texts[row].as_py()[:500],
                label=rows.label_names[rows.labels[row]],
            )
            rows.parts[row] = _SET_ASIDE
    return quarantine


def _refuse_unusable(rows: _Rows) -> None:
    for name in (TRAIN, VALID, TEST):
        if not (rows.parts == name).any():
            raise DataError(
                f"the partition {name} is empty ({counted(len(rows.parts), 'row')} in all)",
                expected="rows in each of train, valid and test",
                fix="add rows, or change the fractions in section split of params.yaml",
            )
    _refuse_misplaced_labels(rows)


def _refuse_misplaced_labels(rows: _Rows) -> None:
    """Refuse unseen labels where answers are counted, and seen ones out of scope."""
    known = set(rows.labels[rows.parts == TRAIN].tolist())
    pairs = Counter(zip(rows.labels.tolist(), rows.parts.tolist(), strict=True))
    held_out = {pair: n for pair, n in pairs.items() if pair[1] not in (TRAIN, _SET_ASIDE)}
    outside = {pair: n for pair, n in held_out.items() if pair[1].startswith(OUT_OF_SCOPE)}
    unseen = {p: n for p, n in held_out.items() if p[0] not in known and p not in outside}
    if unseen:
        raise DataError(
            f"labels that no training row has: {_shown(rows, unseen)}",
            expected="every label of a held-out row among the training rows",
            fix="add training rows with these labels, take the rows out of the raw file, or "
            "declare a file of such rows as out_of_scope:NAME",
        )
    seen = {pair: n for pair, n in outside.items() if pair[0] in known}
    if seen:
        raise DataError(
            f"labels out of scope that training rows have: {_shown(rows, seen)}",
            expected="rows out of scope whose label no training row has",
            fix="take those rows out of the raw file, or declare it as suite:NAME",
        )


def _shown(rows: _Rows, counts: Mapping[tuple[int, str], int]) -> str:
    named = {f"{rows.label_names[label]} ({part})": n for (label, part), n in counts.items()}
    return ", ".join(f"{name}: {counted(n, 'row')}" for name, n in sorted(named.items())[:10])


def _write(
    path: Path, rows: _Rows, clusters: Clusters, quarantine: Quarantine, output: Path
) -> None:
    """Write one file a partition, in the order of the validated file, and the report."""
    names = sorted({part for part in rows.parts.tolist() if part})
    with atomic_directory(output) as directory:
        writers = {n: pq.ParquetWriter(directory / f"{n}.parquet", EXAMPLES_SCHEMA) for n in names}
        start = 0
        for batch in pq.ParquetFile(path).iter_batches(batch_size=_BATCH_ROWS):
            parts = rows.parts[start : start + batch.num_rows]
            for name in names:
                chosen = batch.filter(pa.array(parts == name))
                if chosen.num_rows:
                    writers[name].write_batch(chosen)
            start += batch.num_rows
        for writer in writers.values():
            writer.close()
        text = json.dumps(_report(rows, clusters, quarantine, names), indent=2, sort_keys=True)
        (directory / "report.json").write_text(text, encoding="utf-8")


def _report(
    rows: _Rows, clusters: Clusters, quarantine: Quarantine, names: list[str]
) -> dict[str, Any]:
    sizes = np.bincount(np.unique(clusters.of_row, return_inverse=True)[1])
    labels = {
        name: {
            rows.label_names[label]: count
            for label, count in sorted(Counter(rows.labels[rows.parts == name].tolist()).items())
        }
        for name in names
    }
    return {
        "partitions": {name: int((rows.parts == name).sum()) for name in names},
        "labels": labels,
        "near_duplicates": {
            "clusters": int((sizes > 1).sum()),
            "rows_in_clusters": int(sizes[sizes > 1].sum()),
            "largest_cluster": int(sizes.max(initial=0)),
            "candidate_pairs": clusters.n_candidates,
            "set_aside": quarantine.counts,
        },
    }
