"""Evaluation sets that share rows are known to, whatever their digests, ids and labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from gate_builders import comparison
from tiny_workspaces import change_params

from flows.evaluation_sets import (
    EVALUATION_SET,
    record_set,
    shares_with_earlier_sets,
    sketch_of,
    sketch_of_requests,
)
from flows.prepare_data import Datasets, read_datasets
from flows.registry_access import open_ledger
from flows.workspace import Workspace
from pipeline_steps.comparison_types import PairedComparison
from pipeline_steps.types import DatasetRef

Trained = tuple[Path, dict[str, Any]]


def rewritten(dataset: DatasetRef, path: Path, **columns: list[Any]) -> DatasetRef:
    """Return the set after columns took other values."""
    table = pq.read_table(dataset.path)
    for name, values in columns.items():
        place = table.column_names.index(name)
        table = table.set_column(place, table.field(name), pa.array(values, table[name].type))
    pq.write_table(table, path)
    return dataset.model_copy(update={"path": path, "digest": path.stem})


def with_one_row_more(dataset: DatasetRef, path: Path) -> DatasetRef:
    table = pq.read_table(dataset.path)
    row = {**table.slice(0, 1).to_pylist()[0], "example_id": "new", "text": "no one asked this"}
    pq.write_table(pa.concat_tables([table, pa.Table.from_pylist([row], table.schema)]), path)
    return dataset.model_copy(update={"path": path, "digest": path.stem})


def looked_at(datasets: Datasets) -> list[PairedComparison]:
    return [comparison().model_copy(update={"dataset_digest": datasets.test.digest})]


def test_a_row_more_is_nearly_the_same_set_and_the_ledger_knows_it(
    trained: Trained, tmp_path: Path
) -> None:
    workspace = Workspace.open(trained[0])
    may = read_datasets(workspace.root)
    for _ in range(2):  # a run that was killed comes by again
        assert shares_with_earlier_sets(workspace, may, looked_at(may)) == {may.test.digest: {}}
    june = may.model_copy(update={"test": with_one_row_more(may.test, tmp_path / "june.parquet")})
    n = sketch_of(june, june.test).n
    found = shares_with_earlier_sets(workspace, june, looked_at(june))
    assert found == {"june": {may.test.digest: pytest.approx((n - 1) / n)}}
    ledger = open_ledger(workspace)
    kept = [e.evidence for e in ledger.entries() if e.event == EVALUATION_SET]
    assert [e["dataset_digest"] for e in kept] == [may.test.digest, "june"]
    assert ledger.verify() == []


def test_other_ids_labels_and_noise_make_no_fresh_row(trained: Trained, tmp_path: Path) -> None:
    datasets = read_datasets(trained[0])
    test, n = datasets.test, datasets.test.n_examples
    ids, labels = [f"row {i}" for i in range(n)], ["plus"] * n
    renamed = rewritten(test, tmp_path / "renamed.parquet", example_id=ids, label=labels)
    assert sketch_of(datasets, renamed) == sketch_of(datasets, test)
    typos = next(suite for suite in datasets.suites if suite.kind == "noise")
    assert sketch_of(datasets, typos) == sketch_of(datasets, test)
    other = rewritten(typos, tmp_path / "other.parquet", example_id=ids)
    assert sketch_of(datasets, other) != sketch_of(datasets, test)


def test_windows_of_traffic_that_share_texts_share_the_account(trained: Trained) -> None:
    workspace = Workspace.open(trained[0])
    datasets = read_datasets(workspace.root)
    texts = [{"text": f"text {number}"} for number in range(120)]
    for name, rows in (("may", texts[:100]), ("june", texts[20:])):
        record_set(workspace, "shadow", name, sketch_of_requests(rows))
    shares = shares_with_earlier_sets(workspace, datasets, [], "june")
    assert shares == {datasets.test.digest: {}, "june": {"may": 0.8}}
    assert "unknown" not in shares_with_earlier_sets(workspace, datasets, [], "unknown")


def test_a_window_knows_the_rows_of_a_set_where_both_are_plain_texts(trained: Trained) -> None:
    datasets = read_datasets(trained[0])
    asked = pq.read_table(datasets.test.path, columns=["text"]).to_pylist()
    assert sketch_of_requests(asked) == sketch_of(datasets, datasets.test)
    other = [{"question": "who?", "context": "nobody"}, {"context": "nobody", "question": "who?"}]
    assert sketch_of_requests(other).n == 1


def test_attacks_on_the_same_rows_share_the_account_whatever_their_digests(
    trained: Trained,
) -> None:
    """Another attack, or another number of queries, makes another digest and no fresh row."""
    change_params(trained[0], gate={"superiority": ["pruthi/accuracy"]}, attack={"n_examples": 20})
    workspace = Workspace.open(trained[0])
    datasets = read_datasets(workspace.root)
    found = {}
    for digest in ("100 queries", "200 queries"):
        attacked = comparison("pruthi").model_copy(update={"dataset_digest": digest})
        found |= shares_with_earlier_sets(workspace, datasets, [attacked])
    of_the_test_set = {datasets.test.digest: 1.0}  # whose rows the ledger has since the first run
    assert found == {
        "100 queries": of_the_test_set,
        "200 queries": {"100 queries": 1.0, **of_the_test_set},
    }
