"""Which rows an evaluation set shares with earlier ones: sketches that the ledger keeps."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow.parquet as pq

from flows.prepare_data import Datasets
from flows.registry_access import append_once, open_ledger
from flows.workspace import Workspace
from pipeline_steps.comparison_types import PairedComparison
from pipeline_steps.registry.gate_axes import gain_axes
from pipeline_steps.registry.row_sketch import RowSketch, shared_rows, sketch_rows
from pipeline_steps.types import SISTERS, DatasetRef

EVALUATION_SET = "evaluation_set"
_INPUTS = ("text", "text_pair", "target")


def shares_with_earlier_sets(
    workspace: Workspace,
    datasets: Datasets,
    comparisons: Sequence[PairedComparison],
    window: str | None = None,
) -> dict[str, dict[str, float]]:
    """Return, of each set that a gain is tested on, the share of its rows that each other has.

    Sets are named by digest; those that share nothing are left out. Today's sets are written to
    the ledger first, so that later ones can be compared with them. ``window``: digest of a window
    of traffic that is weighed too, which was written there when its labels were complete.
    """
    today = _record(workspace, datasets, comparisons)
    known = _known(workspace)
    if window is not None and window in known:
        today[window] = known[window]
    found = {
        digest: {
            other: shared_rows(sketch, earlier)
            for other, earlier in known.items()
            if other != digest
        }
        for digest, sketch in today.items()
    }
    return {
        digest: {other: share for other, share in shares.items() if share > 0.0}
        for digest, shares in found.items()
    }


def sketch_of(datasets: Datasets, dataset: DatasetRef) -> RowSketch:
    """Return the sketch of a set; a sister of a test row counts as that row.

    Another seed of the noise makes other texts of the same rows, and no fresh ones. Labels are no
    part of a row: correcting one makes no fresh row either.
    """
    rows = dict(_rows(dataset))
    if dataset.kind in SISTERS:
        clean = dict(_rows(datasets.test))
        rows = {name: clean.get(name, row) for name, row in rows.items()}
    return sketch_rows(rows.values())


def sketch_of_requests(requests: Iterable[Mapping[str, Any]]) -> RowSketch:
    """Return the sketch of rows of traffic; plain texts are as the rows of a set with them."""
    return sketch_rows(
        json.dumps([asked.get(name) for name in _INPUTS])
        if {*asked} <= {*_INPUTS}
        else json.dumps(asked, sort_keys=True)
        for asked in requests
    )


def record_set(workspace: Workspace, name: str, digest: str, sketch: RowSketch) -> None:
    """Write a set to the ledger, once."""
    append_once(
        workspace,
        EVALUATION_SET,
        reason=f"{name}: {sketch.n} different rows",
        evidence={"dataset_digest": digest, **sketch.model_dump(mode="json")},
    )


def _attacked_rows(workspace: Workspace, datasets: Datasets) -> RowSketch:
    """Return the sketch of the rows that attacks begin at; what becomes of one is no fresh row."""
    from pipeline_steps.evaluation.attacks.attack import drawn_rows

    params = workspace.params.attack
    rows = pq.read_table(datasets.test.path).to_pylist()
    return sketch_rows(
        json.dumps([row[name] for name in _INPUTS])
        for row in drawn_rows(rows, params.n_examples, params.seed, target=params.target)
    )


def _rows(dataset: DatasetRef) -> Iterator[tuple[str, str]]:
    """Yield the id of each row and what is asked in it, as one text."""
    table = pq.read_table(dataset.path, columns=["example_id", *_INPUTS])
    for row in table.to_pylist():
        yield row["example_id"], json.dumps([row[name] for name in _INPUTS])


def _record(
    workspace: Workspace, datasets: Datasets, comparisons: Sequence[PairedComparison]
) -> dict[str, RowSketch]:
    """Return the sketch of each set that a gain is tested on, once the ledger has it."""
    suites = {axis.rpartition("/")[0] for axis in gain_axes(comparisons, workspace.params.gate)}
    named = {dataset.digest: dataset.name for dataset in datasets.judged if dataset.name in suites}
    named |= {c.dataset_digest: c.suite for c in comparisons if c.suite in suites}
    judged = {dataset.name: dataset for dataset in datasets.judged}
    found: dict[str, RowSketch] = {}
    for digest, name in named.items():
        found[digest] = (
            sketch_of(datasets, judged[name])
            if name in judged
            else _attacked_rows(workspace, datasets)  # what is no dataset is one under attack
        )
        record_set(workspace, name, digest, found[digest])
    return found


def _known(workspace: Workspace) -> dict[str, RowSketch]:
    """Return the sketch of every set that the ledger knows, whatever model it judged."""
    return {
        entry.evidence["dataset_digest"]: RowSketch(
            n=entry.evidence["n"], smallest=tuple(entry.evidence["smallest"])
        )
        for entry in open_ledger(workspace).entries()
        if entry.event == EVALUATION_SET
    }
