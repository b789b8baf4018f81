"""Partitions: shares, groups, time, clusters of near duplicates, and no row lost."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders import write_examples
from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.data_params import NearDuplicateParams, SplitParams
from pipeline_steps.data_preparation.near_duplicates import (
    bands_and_rows,
    find_clusters,
    jaccard,
)
from pipeline_steps.data_preparation.split import split
from pipeline_steps.errors import DataError

APART = NearDuplicateParams(enabled=False)
START = datetime(2026, 1, 1, tzinfo=UTC)


def make_rows(n: int, **columns) -> list[dict]:
    """Return rows whose texts have nothing in common but their letters."""
    generator = np.random.default_rng(n)
    alphabet = list("abcdefghijklmnopqrstuvwxyz ")
    return [
        {"text": "".join(generator.choice(alphabet, 40)), "label": f"l{i % 4}",
         "timestamp": START + timedelta(hours=i),
         **{name: make(i) for name, make in columns.items()}}
        for i in range(n)
    ]  # fmt: skip


def run(root: Path, content: list[dict], params: SplitParams) -> dict[str, list[dict]]:
    write_examples(root / "data/validated/examples.parquet", content)
    split(params, root)
    return {
        path.stem: pq.read_table(path).to_pylist()
        for path in (root / "data/splits").glob("*.parquet")
    }


def ids(part: list[dict]) -> set[str]:
    return {row["example_id"] for row in part}


def test_every_row_goes_to_one_partition_in_the_shares_asked(tmp_path: Path) -> None:
    parts = run(tmp_path, make_rows(400), SplitParams(near_duplicates=APART))
    assert {name: len(part) for name, part in parts.items()} == {
        "train": 280, "valid": 40, "test": 80,
    }  # fmt: skip
    assert len(set.union(*map(ids, parts.values()))) == 400


def test_labels_are_spread_evenly(tmp_path: Path) -> None:
    parts = run(tmp_path, make_rows(400), SplitParams(near_duplicates=APART))
    for part in parts.values():
        counts = np.unique([row["label"] for row in part], return_counts=True)[1]
        assert counts.max() == counts.min()


def test_a_group_is_never_split_apart(tmp_path: Path) -> None:
    content = make_rows(400, group=lambda i: f"g{i // 5}")
    parts = run(tmp_path, content, SplitParams(near_duplicates=APART))
    groups = [{row["group"] for row in part} for part in parts.values()]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 80
    assert 50 <= len(parts["test"]) <= 110


def test_the_order_of_the_rows_changes_nothing(tmp_path: Path) -> None:
    content = make_rows(200, example_id=lambda i: f"id{i}")
    forward = run(tmp_path / "a", content, SplitParams())
    backward = run(tmp_path / "b", content[::-1], SplitParams())
    assert {n: ids(p) for n, p in forward.items()} == {n: ids(p) for n, p in backward.items()}


def test_another_seed_is_another_split(tmp_path: Path) -> None:
    content = make_rows(200)
    first = run(tmp_path / "a", content, SplitParams(seed=0))
    assert ids(first["test"]) != ids(run(tmp_path / "b", content, SplitParams(seed=1))["test"])


def test_the_latest_rows_and_the_held_out_domain_become_shift_rows(tmp_path: Path) -> None:
    content = make_rows(200, domain=lambda i: "phone" if i % 10 == 0 else "mail")
    parts = run(tmp_path, content, SplitParams(shift_time_fraction=0.1, shift_domains=("phone",)))
    assert {row["domain"] for row in parts["shift_domain"]} == {"phone"}
    assert len(parts["shift_time"]) == 18
    newest = max(row["timestamp"] for row in parts["train"])
    assert min(row["timestamp"] for row in parts["shift_time"]) > newest


def test_held_out_groups_become_a_suite_and_nothing_of_them_is_learnt(tmp_path: Path) -> None:
    content = make_rows(400, group=lambda i: f"g{i // 5}")
    content[15]["role"] = "train"  # declared: it keeps its role
    held = SplitParams(shift_groups=("g3", "g7"), near_duplicates=APART)
    parts = run(tmp_path, content, held)
    assert {row["group"] for row in parts["shift_group"]} == {"g3", "g7"}
    assert len(parts["shift_group"]) == 9
    others = {row["group"] for name in ("valid", "test") for row in parts[name]}
    assert not others & {"g3", "g7"}
    learnt = {row["example_id"] for row in parts["train"] if row["group"] in ("g3", "g7")}
    assert learnt == {"r15"}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"shift_domains": ("fone",)}, r"split\.shift_domains names fone, .* is of it"),
        ({"shift_groups": ("g1", "h1")}, r"split\.shift_groups names h1, .*\(g0, g1, g2\)"),
    ],
)
def test_a_held_out_name_that_no_row_has_is_refused(tmp_path: Path, params, message) -> None:
    content = make_rows(60, domain=lambda _: "phone", group=lambda i: f"g{i % 3}")
    with pytest.raises(DataError, match=f"(?s){message}"):
        run(tmp_path, content, SplitParams(**params))


def test_near_duplicates_of_auto_rows_stay_on_one_side(tmp_path: Path) -> None:
    content = make_rows(200)
    copies = [{**row, "text": row["text"] + "!"} for row in content[:60]]
    parts = run(tmp_path, [*content, *copies], SplitParams())
    where = {row["example_id"]: name for name, part in parts.items() for row in part}
    assert all(where[f"r{i}"] == where[f"r{200 + i}"] for i in range(60))


def test_training_rows_that_repeat_a_declared_test_row_are_set_aside(tmp_path: Path) -> None:
    train = make_rows(100, role=lambda _: "train")
    valid = [{**row, "text": f"{row['text'][::-1]} v", "role": "valid"} for row in train[:20]]
    test = [{**row, "text": f"{row['text']}?", "role": "test"} for row in train[:10]]
    test += [
        {**row, "text": f"other {row['text'][::-1]} t t", "role": "test"} for row in train[20:30]
    ]
    parts = run(tmp_path, [*train, *valid, *test], SplitParams())
    assert len(parts["test"]) == 20
    aside = pq.read_table(tmp_path / "data/quarantine/split/rows.parquet").to_pylist()
    assert {row["example_id"] for row in aside} == {f"r{i}" for i in range(10)}
    assert {row["reason"] for row in aside} == {"near_duplicate_of_test"}


def test_a_missing_partition_is_carved_out_of_the_declared_training_rows(tmp_path: Path) -> None:
    content = [*make_rows(200, role=lambda _: "train"),
               *[{**r, "text": f"{r['text']} zz"[::-1]} for r in make_rows(40, role=lambda _: "test")]]  # fmt: skip
    parts = run(tmp_path, content, SplitParams(near_duplicates=APART))
    assert (len(parts["test"]), len(parts["valid"]), len(parts["train"])) == (40, 20, 180)


def test_a_label_that_no_training_row_has_is_a_clear_error(tmp_path: Path) -> None:
    content = make_rows(100, role=lambda i: ("train", "valid", "test")[min(i % 9, 2)])
    content[12] |= {"label": "unheard", "role": "test"}
    with pytest.raises(DataError, match=r"no training row has: unheard \(test\): 1 row\n"):
        run(tmp_path, content, SplitParams(near_duplicates=APART))


def with_foreign_rows(label: str) -> list[dict]:
    content = make_rows(100, role=lambda i: ("train", "valid", "test")[min(i % 9, 2)])
    for row in content[12:15]:
        row |= {"label": label, "role": "out_of_scope:foreign"}
    return content


def test_rows_out_of_scope_stand_apart_with_their_unseen_label(tmp_path: Path) -> None:
    parts = run(tmp_path, with_foreign_rows("unheard"), SplitParams(near_duplicates=APART))
    assert len(parts["out_of_scope__foreign"]) == 3


def test_rows_out_of_scope_with_a_label_of_train_are_a_clear_error(tmp_path: Path) -> None:
    said = r"out of scope that training rows have: l0 \(out_of_scope__foreign\): 3 rows"
    with pytest.raises(DataError, match=said):
        run(tmp_path, with_foreign_rows("l0"), SplitParams(near_duplicates=APART))


def test_an_empty_partition_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the partition valid is empty"):
        run(tmp_path, make_rows(100), SplitParams(valid_fraction=0.0))


def test_the_report_counts_what_the_files_hold(tmp_path: Path) -> None:
    parts = run(tmp_path, make_rows(100), SplitParams())
    report = json.loads((tmp_path / "data/splits/report.json").read_text())
    assert report["partitions"] == {name: len(part) for name, part in parts.items()}


@given(
    n_groups=st.integers(2, 30), n=st.integers(20, 120), test_fraction=st.sampled_from([0.1, 0.3])
)
def test_assignment_never_splits_a_component_nor_goes_far_beyond_the_share(
    n_groups: int, n: int, test_fraction: float
) -> None:
    from pipeline_steps.data_preparation.assignment import assign, components

    generator = np.random.default_rng(n * 31 + n_groups)
    groups = generator.integers(-1, n_groups, n)
    labels = generator.integers(0, 3, n)
    component_of = components(np.arange(n), groups)
    keys = generator.integers(0, 2**63, n).astype(np.uint64)
    parts = assign(component_of, labels, keys, {"test": test_fraction})
    for component in np.unique(component_of):
        assert len(np.unique(parts[component_of == component])) == 1
    assert (parts == 1).sum() <= test_fraction * n + n / n_groups + 3


@given(
    st.integers(1, 120).flatmap(
        lambda n: st.tuples(
            st.lists(st.integers(0, 9), min_size=n, max_size=n),
            st.lists(st.integers(-1, 12), min_size=n, max_size=n),
        )
    ),
    st.sampled_from([{"test": 0.3}, {"valid": 0.1, "test": 0.2}, {"valid": 0.5, "test": 0.5}]),
)
def test_a_label_of_any_rows_is_among_the_training_rows(
    drawn: tuple[list[int], list[int]], shares: dict[str, float]
) -> None:
    from pipeline_steps.data_preparation.assignment import assign, components

    labels, groups = np.array(drawn[0]) ** 2 // 10, np.array(drawn[1])  # 0 is frequent, 8 is rare
    component_of = components(np.arange(len(labels)), groups)
    parts = assign(component_of, labels, np.arange(len(labels), dtype=np.uint64), shares)
    assert set(labels.tolist()) == set(labels[parts == 0].tolist())
    for component in np.unique(component_of):
        assert len(np.unique(parts[component_of == component])) == 1


def test_the_only_group_of_a_label_stays_in_train(tmp_path: Path) -> None:
    content = make_rows(200, group=lambda i: f"g{i // 10}")
    for row in content[20:30]:
        row |= {"label": ("common", "rare")[row["text"] == content[20]["text"]]}
    for row in content[40:]:
        row |= {"label": "common"}
    parts = run(tmp_path, content, SplitParams(near_duplicates=APART))
    for part in parts.values():
        assert {row["label"] for row in part} <= {row["label"] for row in parts["train"]}
    assert "rare" in {row["label"] for row in parts["train"]}


def test_a_label_among_declared_training_rows_needs_no_more_of_them(tmp_path: Path) -> None:
    """The last row to be split may go to test where train has the label anyway."""
    content = make_rows(60, role=lambda i: ("auto", "train")[i % 2], group=lambda i: f"g{i // 6}")
    for row in content:
        row |= {"label": "only" if row["role"] == "auto" and row["group"] == "g3" else "common"}
    content[1] |= {"label": "only"}
    shares = SplitParams(near_duplicates=APART, valid_fraction=0.1, test_fraction=0.7)
    parts = run(tmp_path, content, shares)
    assert "only" in {row["label"] for row in parts["test"]}


def random_texts(n: int, seed: int) -> list[str]:
    generator = np.random.default_rng(seed)
    words = ["".join(generator.choice(list("abcdefghijklmnop"), 6)) for _ in range(400)]
    return [" ".join(generator.choice(words, 14)) for _ in range(n)]


def test_planted_near_duplicates_are_found_and_nothing_else_is_merged() -> None:
    texts = random_texts(2000, seed=0)
    planted = [f"{text} x" for text in texts[:300]]
    params = NearDuplicateParams()
    clusters = find_clusters(pa.chunked_array([texts + planted]), params).of_row
    found = sum(clusters[i] == clusters[2000 + i] for i in range(300))
    assert found >= 0.99 * 300
    for row in range(len(clusters)):
        root = int(clusters[row])
        if root != row:
            both = (texts + planted)[row], (texts + planted)[root]
            assert jaccard(*both, params.shingle_characters) >= params.threshold


def test_banding_keeps_the_recall_that_it_promises() -> None:
    for threshold in (0.5, 0.7, 0.8, 0.9):
        params = NearDuplicateParams(threshold=threshold)
        bands, rows = bands_and_rows(params)
        assert bands * rows <= params.permutations
        assert 1 - (1 - threshold**rows) ** bands >= 0.995


def test_short_and_empty_texts_have_clusters_too() -> None:
    clusters = find_clusters(pa.chunked_array([["", "a", "A ", "b", ""]]), NearDuplicateParams())
    assert clusters.of_row.tolist() == [0, 1, 1, 3, 0]
