"""Raw files of every format become the same examples; what cannot be read is set aside."""

from __future__ import annotations

import csv
import gzip
import json
import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders import ingest_params, rows, write_jsonl
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_steps.data_preparation.ingest import ingest
from pipeline_steps.digests import file_digest
from pipeline_steps.errors import DataError


def read(root: Path) -> list[dict]:
    return pq.read_table(root / "data/ingested/examples.parquet").to_pylist()


def rejected(root: Path) -> dict[str, int]:
    return json.loads((root / "data/ingested/report.json").read_text())["rejected"]


def write_as(kind: str, path: Path, content: list[dict]) -> dict:
    """Write rows in a format and return the source that names them."""
    if kind in ("csv", "tsv"):
        with path.with_suffix(f".{kind}").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, content[0], delimiter="\t" if kind == "tsv" else ",")
            writer.writeheader()
            writer.writerows(content)
        return {"path": f"{path.name}.{kind}"}
    if kind == "jsonl.gz":
        lines = "".join(json.dumps(row) + "\n" for row in content)
        path.with_suffix(".jsonl.gz").write_bytes(gzip.compress(lines.encode()))
        return {"path": f"{path.name}.jsonl.gz"}
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(content), path.with_suffix(".parquet"))
        return {"path": f"{path.name}.parquet"}
    if kind == "hf_datasets":
        from datasets import Dataset

        Dataset.from_list(content).save_to_disk(str(path))
        return {"path": path.name}
    blocks = [
        f"# label = {row['label']}\n" + "\n".join(f"{w}\tO" for w in row["text"].split())
        for row in content
    ]
    path.with_suffix(".conll").write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    return {"path": f"{path.name}.conll"}


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl.gz", "parquet", "hf_datasets", "conll"])
def test_every_format_gives_the_same_texts_and_labels(tmp_path: Path, kind: str) -> None:
    content = rows(12)
    source = write_as(kind, tmp_path / "raw", content)
    reference = ingest(ingest_params(source), tmp_path)
    assert reference.n_examples == 12
    assert [(r["text"], r["label"]) for r in read(tmp_path)] == [
        (row["text"], row["label"]) for row in content
    ]


def test_columns_are_mapped_and_typed(tmp_path: Path) -> None:
    write_jsonl(
        tmp_path / "raw.jsonl",
        [{"no": 7, "said": "hello", "is": 3, "when": "2026-01-02T03:04:05+01:00", "by": "anna"},
         {"no": 8, "said": "bye", "is": 4.0, "when": 0, "by": None},
         {"no": 9, "said": None, "is": math.nan, "when": "yesterday", "by": None}],
    )  # fmt: skip
    columns = {"id": "no", "text": "said", "label": "is", "timestamp": "when", "group": "by"}
    ingest(ingest_params({"path": "raw.jsonl", "domain": "shop"}, columns=columns), tmp_path)
    first, second, third = read(tmp_path)
    assert (first["example_id"], first["label"], first["group"]) == ("7", "3", "anna")
    assert first["timestamp"].isoformat() == "2026-01-02T02:04:05+00:00"
    assert first["domain"] == second["domain"] == "shop"
    assert (second["label"], second["timestamp"].year) == ("4", 1970)
    assert third["text"] is third["label"] is third["timestamp"] is None
    report = json.loads((tmp_path / "data/ingested/report.json").read_text())
    assert report["unparsed_timestamps"] == 1


FLAWED = [
    *(json.dumps(row).encode() for row in rows(20)),
    b"{broken", b"\xff\xfe", b'{"text": 12, "label": "a"}', b'{"label": "a"}', b'{"text": "b"}',
    *(json.dumps(row).encode() for row in rows(3)),
]  # fmt: skip


@given(batch_rows=st.integers(1, 40), order=st.permutations(FLAWED))
@settings(max_examples=15)
def test_the_batch_size_changes_nothing(tmp_path_factory, batch_rows: int, order: list) -> None:
    results = []
    for size in (batch_rows, 1000):
        root = tmp_path_factory.mktemp("batches")
        (root / "raw.jsonl").write_bytes(b"\n".join(order))
        ingest(ingest_params({"path": "raw.jsonl"}, batch_rows=size), root)
        names = ("ingested/examples", "ingested/origins", "quarantine/ingest/rows")
        tables = [pq.read_table(root / f"data/{name}.parquet").to_pylist() for name in names]
        results.append((tables, (root / "data/ingested/report.json").read_text()))
    assert results[0] == results[1]


def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "raw.jsonl", rows(30))
    first = ingest(ingest_params({"path": "raw.jsonl"}), tmp_path)
    second = ingest(ingest_params({"path": "raw.jsonl"}), tmp_path)
    assert first.digest == second.digest == file_digest(first.path, "md5")


def test_lines_that_cannot_be_read_are_set_aside_with_their_reason(tmp_path: Path) -> None:
    good = json.dumps({"text": "fine", "label": "a"}).encode()
    lines = [
        good,
        b'{"text": "\xff\xfe", "label": "a"}',
        b'{"text": "long ' + b"x" * 1_000_000 + b'", "label": "a"}',
        b'{"text": "no end',
        b'["text", "label"]',
        b'{"text": 12, "label": "a"}',
        good,
    ]
    (tmp_path / "raw.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    reference = ingest(ingest_params({"path": "raw.jsonl"}, max_line_bytes=10_000), tmp_path)
    assert reference.n_examples == 2
    assert rejected(tmp_path) == {
        "not_utf8": 1, "line_too_long": 1, "malformed_json": 2, "text_not_a_string": 1,
    }  # fmt: skip
    aside = pq.read_table(tmp_path / "data/quarantine/ingest/rows.parquet").to_pylist()
    assert [row["line"] for row in aside] == [2, 3, 4, 5, 6]
    assert all(row["source_file"] == "raw.jsonl" and row["detail"] for row in aside)


def test_a_csv_row_with_too_many_fields_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "raw.csv").write_text('text,label\n"a, b",x\none,two,three\nlast,y\n')
    assert ingest(ingest_params({"path": "raw.csv"}), tmp_path).n_examples == 2
    assert rejected(tmp_path) == {"wrong_number_of_fields": 1}


def test_rows_in_are_rows_kept_and_rows_set_aside(tmp_path: Path) -> None:
    lines = [json.dumps(row) if i % 5 else "{broken" for i, row in enumerate(rows(50))]
    (tmp_path / "raw.jsonl").write_text("\n".join(lines))
    reference = ingest(ingest_params({"path": "raw.jsonl"}), tmp_path)
    assert reference.n_examples + sum(rejected(tmp_path).values()) == 50


BROKEN_FILES = {
    "missing": (None, r"there is no .*raw\.jsonl"),
    "empty": (b"", r"raw\.jsonl holds no rows"),
    "without the column": (
        b'{"txt": "a", "label": "b"}\n',
        r"no column 'text'; did you mean 'txt'",
    ),
}


@pytest.mark.parametrize("case", BROKEN_FILES)
def test_a_file_that_cannot_be_used_is_a_clear_error(tmp_path: Path, case: str) -> None:
    content, message = BROKEN_FILES[case]
    if content is not None:
        (tmp_path / "raw.jsonl").write_bytes(content)
    with pytest.raises(DataError, match=message):
        ingest(ingest_params({"path": "raw.jsonl"}), tmp_path)
    assert not (tmp_path / "data/ingested").exists()


@pytest.mark.parametrize("cut", ["truncated", "corrupt"])
def test_a_broken_gzip_file_is_a_clear_error(tmp_path: Path, cut: str) -> None:
    whole = gzip.compress("".join(json.dumps(row) + "\n" for row in rows(500)).encode())
    broken = whole[: len(whole) // 2] if cut == "truncated" else b"no gzip" + whole
    (tmp_path / "raw.jsonl.gz").write_bytes(broken)
    with pytest.raises(DataError, match="is corrupt or truncated"):
        ingest(ingest_params({"path": "raw.jsonl.gz"}), tmp_path)


def test_an_unknown_ending_asks_for_the_format(tmp_path: Path) -> None:
    (tmp_path / "raw.dat").write_text("a")
    with pytest.raises(DataError, match=r"format of .*raw\.dat is unknown"):
        ingest(ingest_params({"path": "raw.dat"}), tmp_path)


def test_what_a_killed_writer_left_is_cleared(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "raw.jsonl", rows(30))
    leftover = tmp_path / "data/.ingested.abcd1234.partial"
    leftover.mkdir(parents=True)
    ingest(ingest_params({"path": "raw.jsonl"}), tmp_path)
    assert not leftover.exists()


def test_two_files_of_one_name_give_different_ids(tmp_path: Path) -> None:
    for directory in ("a", "b"):
        write_jsonl(tmp_path / directory / "raw.jsonl", rows(3))
    ingest(ingest_params({"path": "a/raw.jsonl"}, {"path": "b/raw.jsonl"}), tmp_path)
    assert [r["example_id"] for r in read(tmp_path)][2:4] == ["a/raw.jsonl:3", "b/raw.jsonl:1"]


def test_a_field_that_some_rows_leave_out_is_null_there(tmp_path: Path) -> None:
    """JSON Lines leave out what is null: only a field that no row has is a missing column."""
    first, second, third = rows(3)
    write_jsonl(tmp_path / "raw.jsonl", [first, second | {"who": "anna"}, third])
    ingest(ingest_params({"path": "raw.jsonl"}, columns={"group": "who"}), tmp_path)
    assert [r["group"] for r in read(tmp_path)] == [None, "anna", None]
    with pytest.raises(DataError, match=r"has no column 'whom'; did you mean 'who'"):
        ingest(ingest_params({"path": "raw.jsonl"}, columns={"group": "whom"}), tmp_path)


def test_a_missing_text_is_noticed_early_in_a_long_file(tmp_path: Path) -> None:
    """After 1,000 rows, not after all: the last line here would be another refusal."""
    content = [{"txt": row["text"], "label": row["label"]} for row in rows(1_500)]
    write_jsonl(tmp_path / "raw.jsonl", content)
    with pytest.raises(DataError, match=r"no column 'text'; did you mean 'txt'"):
        ingest(ingest_params({"path": "raw.jsonl"}), tmp_path)


def test_origins_name_file_and_line_of_every_example(tmp_path: Path) -> None:
    (tmp_path / "raw.csv").write_text('text,label\n"two\nlines",a\n"open,b\nlast,c\n')
    ingest(ingest_params({"path": "raw.csv"}), tmp_path)
    origins = pq.read_table(tmp_path / "data/ingested/origins.parquet").to_pylist()
    assert origins == [{"source_file": "raw.csv", "line": n} for n in (2, 5)]


def test_labels_lose_the_white_space_around_them(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "raw.jsonl", [{"text": "t", "label": v} for v in (" a ", "a", "  ")])
    ingest(ingest_params({"path": "raw.jsonl"}), tmp_path)
    assert [r["label"] for r in read(tmp_path)] == ["a", "a", None]


def test_rows_set_aside_are_counted_by_what_is_known_of_them(tmp_path: Path) -> None:
    lines = [json.dumps(row) for row in rows(5)] + ["{broken", '{"text": 1, "label": "label0"}']
    (tmp_path / "raw.jsonl").write_text("\n".join(lines))
    ingest(ingest_params({"path": "raw.jsonl", "domain": "shop"}), tmp_path)
    report = json.loads((tmp_path / "data/ingested/report.json").read_text())
    assert report["rejected_by"] == {
        "label": {"label0": 1}, "source": {"raw.jsonl": 2}, "domain": {"shop": 2},
    }  # fmt: skip
    columns = {"source": "text", "domain": "label"}
    ingest(ingest_params({"path": "raw.jsonl"}, columns=columns), tmp_path)
    report = json.loads((tmp_path / "data/ingested/report.json").read_text())
    assert report["rejected_by"] == {"label": {"label0": 1}, "source": {}, "domain": {}}


def test_long_rows_are_held_a_few_at_a_time(tmp_path: Path) -> None:
    """What a row group holds is bounded by its characters, not by its rows alone."""
    content = ({"text": f"{i} " + "x" * 900_000, "label": "a"} for i in range(80))
    write_jsonl(tmp_path / "raw.jsonl", content)
    path = ingest(ingest_params({"path": "raw.jsonl"}), tmp_path).path
    groups = pq.ParquetFile(path).metadata
    assert [groups.row_group(i).num_rows for i in range(groups.num_row_groups)] == [36, 36, 8]
