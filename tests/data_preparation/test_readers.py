"""Flawed files: one bad row costs one row, a bad file is an error that names it."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline_steps.data_preparation.readers import RawRow, RejectedRow, RowReader
from pipeline_steps.errors import DataError


def read(path: Path, content: bytes, **settings: Any) -> list[RawRow | RejectedRow]:
    path.write_bytes(content)
    return list(RowReader(path, **settings))


def texts(rows: list[RawRow | RejectedRow]) -> list[Any]:
    return [row.fields["text"] for row in rows if isinstance(row, RawRow)]


def reasons(rows: list[RawRow | RejectedRow]) -> list[tuple[int, str]]:
    return [(row.line, row.reason) for row in rows if isinstance(row, RejectedRow)]


ONE_BAD_ROW = {
    "a quote that is never closed": ("r.csv", b'text,label\n"open,a\nfine,b\n', (2, "malformed_csv")),
    "text behind a closing quote": ("r.csv", b'text,label\n"a" b,c\nfine,b\n', (2, "malformed_csv")),
    "a quote closed in a later line": (
        "r.csv", b'text,label\n"open,a\nfine,b\nalso "this",c\n', (2, "malformed_csv"),
    ),
    "not UTF-8": ("r.csv", b"text,label\n\xff,a\nfine,b\n", (2, "not_utf8")),
    "a number of 5,000 digits": (
        "r.jsonl", b'{"text": ' + b"1" * 5000 + b'}\n{"text": "fine"}\n', (1, "malformed_json"),
    ),
    "nesting without end": (
        "r.jsonl", b'{"text": ' + b"[" * 100_000 + b'}\n{"text": "fine"}\n', (1, "malformed_json"),
    ),
    "half a surrogate pair": (
        "r.jsonl", b'{"text": "\\ud83d"}\n{"text": "fine"}\n', (1, "not_utf8"),
    ),
    "a bad line in a sentence": (
        "r.conll", b"# label = x\n\xff O\nb O\n\n# label = x\nfine O\n", (2, "not_utf8"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ONE_BAD_ROW)
def test_one_bad_row_costs_one_row(tmp_path: Path, case: str) -> None:
    name, content, expected = ONE_BAD_ROW[case]
    rows = read(tmp_path / name, content)
    assert reasons(rows) == [expected]
    assert "fine" in texts(rows)


def test_an_unclosed_quote_does_not_swallow_the_file(tmp_path: Path) -> None:
    content = b'text,label\n"open,a\n' + b"fine line,b\n" * 20_000
    rows = read(tmp_path / "r.csv", content, max_line_bytes=50_000)
    assert reasons(rows) == [(2, "malformed_csv")]
    assert len(texts(rows)) == 20_000


def test_line_numbers_count_the_lines_that_were_set_aside(tmp_path: Path) -> None:
    rows = read(tmp_path / "r.csv", b"text,label\na,x\n\xff,x\n\nb,x\nc,x,y\n")
    assert [row.line for row in rows] == [2, 3, 5, 6]


def test_a_record_may_span_lines(tmp_path: Path) -> None:
    rows = read(tmp_path / "r.csv", b'text,label\r\n"two\r\n""lines""",a\r\nb,c\r\n')
    assert texts(rows) == ['two\r\n"lines"', "b"]


def test_unquoted_tab_separated_text_keeps_its_quotation_marks(tmp_path: Path) -> None:
    """Public TSV files quote nothing: a sentence may begin with a mark and end without one."""
    rows = read(tmp_path / "r.tsv", b'text\tlabel\n"he said\tneg\nit "was"\tpos\nend"\tpos\n')
    assert texts(rows) == ['"he said', 'it "was"', 'end"']


def test_quoted_tab_separated_text_is_unquoted(tmp_path: Path) -> None:
    rows = read(tmp_path / "r.tsv", b'text\tlabel\n"a ""b"""\tneg\n"with\ttab"\tpos\n')
    assert texts(rows) == ['a "b"', "with\ttab"]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    assert texts(read(tmp_path / "r.csv", b"\xef\xbb\xbftext,label\na,b\n")) == ["a"]


@given(
    content=st.lists(
        st.tuples(st.text(min_size=1), st.text("ab\",\n'\t ", max_size=8)), min_size=1, max_size=8
    ),
    kind=st.sampled_from(["csv", "tsv"]),
)
def test_well_formed_records_are_read_as_the_standard_library_reads_them(
    tmp_path_factory, content: list[tuple[str, str]], kind: str
) -> None:
    """But TSV that spans lines: there an unquoted line goes before a quoted record."""
    delimiter = "\t" if kind == "tsv" else ","
    assume(kind == "csv" or not any("\n" in a + b or "\t" in a + b for a, b in content))
    target = io.StringIO(newline="")
    writer = csv.writer(target, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([("text", "label"), *content])
    path = tmp_path_factory.mktemp("csv") / f"r.{kind}"
    rows = read(path, target.getvalue().encode())
    expected = list(csv.reader(io.StringIO(target.getvalue(), newline=""), delimiter=delimiter))
    fields = [row.fields for row in rows if isinstance(row, RawRow)]
    assert [(f["text"] or "", f["label"] or "") for f in fields] == [tuple(r) for r in expected[1:]]


REFUSED = {
    "UTF-16": ("r.csv", "text,label\na,b\n".encode("utf-16"), r"r\.csv is written in UTF-16"),
    "header not UTF-8": ("r.csv", b"text\xff,label\na,b\n", "a first line that is no text"),
    "header unclosed": (
        "r.csv",
        b'"text,label\na,b\n',
        "a first line that is no well-formed record",
    ),
    "a name twice": ("r.csv", b"text,label,label\na,b,c\n", "several columns named 'label'"),
    "header only": ("r.csv", b"text,label\n", "holds no rows"),
    "no Parquet": ("r.parquet", b"text,label\n", "is corrupt or truncated"),
    "empty Parquet": ("r.parquet", b"", "is corrupt or truncated"),
    "empty gzip": ("r.jsonl.gz", b"", "holds no rows"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_is_no_such_file_is_refused(tmp_path: Path, case: str) -> None:
    name, content, message = REFUSED[case]
    with pytest.raises(DataError, match=message):
        read(tmp_path / name, content)


def test_a_directory_that_is_no_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="was not written by datasets' save_to_disk"):
        list(RowReader(tmp_path))
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        list(RowReader(tmp_path, format="csv"))


def save_dataset(path: Path) -> None:
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    content = {"text": ["a", "b", "c"], "label": [0, 1, -1]}
    dataset = Dataset.from_dict(content, features=features)
    dataset.save_to_disk(str(path / "saved"))
    dataset.to_parquet(str(path / "saved.parquet"))


@pytest.mark.parametrize("name", ["saved", "saved.parquet"])
def test_declared_label_names_are_read_instead_of_numbers(tmp_path: Path, name: str) -> None:
    save_dataset(tmp_path)
    rows = list(RowReader(tmp_path / name))
    assert [row.fields["label"] for row in rows if isinstance(row, RawRow)] == ["neg", "pos", None]


def test_several_splits_in_one_directory_ask_for_one(tmp_path: Path) -> None:
    from datasets import Dataset, DatasetDict

    split = Dataset.from_dict({"text": ["a"], "label": ["b"]})
    DatasetDict({"train": split, "test": split}).save_to_disk(str(tmp_path / "both"))
    with pytest.raises(DataError, match="several splits: train, test"):
        list(RowReader(tmp_path / "both"))
    assert texts(list(RowReader(tmp_path / "both/train"))) == ["a"]


def test_a_parquet_string_that_is_not_utf8_costs_one_row(tmp_path: Path) -> None:
    text = pa.array([b"ok", b"\xff\xfe", b"fine"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"text": text, "label": ["a", "b", "c"]}), tmp_path / "r.parquet")
    rows = list(RowReader(tmp_path / "r.parquet"))
    assert texts(rows) == ["ok", "fine"]
    assert reasons(rows) == [(2, "not_utf8")]


def test_a_token_may_begin_with_the_sign_of_a_comment(tmp_path: Path) -> None:
    content = b"-DOCSTART- O\n\n# newdoc\n# label = x\n#tag\tO\nsays\tB\n# O\n\n# label = y\na b\n"
    first, second = read(tmp_path / "r.conll", content)
    assert isinstance(first, RawRow)
    assert isinstance(second, RawRow)
    assert first.fields["text"] == "#tag says #"
    assert (first.fields["tags"], first.fields["label"]) == (["O", "B", "O"], "x")
    assert (second.fields["text"], second.fields["label"]) == ("a", "y")


def test_a_sentence_without_end_is_set_aside_in_bounded_memory(tmp_path: Path) -> None:
    rows = read(tmp_path / "r.conll", b"word O\n" * 1000 + b"\nfine O\n", max_line_bytes=500)
    assert reasons(rows) == [(1, "line_too_long")]
    assert texts(rows) == ["fine"]


def as_jsonl_gz(path: Path) -> None:
    lines = "".join(json.dumps({"text": f"row {i}", "label": "a"}) + "\n" for i in range(300))
    path.write_bytes(gzip.compress(lines.encode(), mtime=0))


def as_parquet(path: Path) -> None:
    pq.write_table(pa.table({"text": [f"row {i}" for i in range(300)], "label": ["a"] * 300}), path)


def as_csv(path: Path) -> None:
    path.write_text("text,label\n" + "".join(f'"row {i}",a\n' for i in range(300)))


WRITERS: dict[str, Callable[[Path], None]] = {
    "r.jsonl.gz": as_jsonl_gz, "r.parquet": as_parquet, "r.csv": as_csv,
}  # fmt: skip


@given(
    name=st.sampled_from(sorted(WRITERS)),
    place=st.floats(0, 1, exclude_max=True),
    damage=st.binary(min_size=1, max_size=40),
    cut=st.booleans(),
)
def test_damage_anywhere_is_a_data_error_or_costs_rows_but_is_never_a_crash(
    tmp_path_factory, name: str, place: float, damage: bytes, cut: bool
) -> None:
    path = tmp_path_factory.mktemp("damaged") / name
    WRITERS[name](path)
    whole = path.read_bytes()
    start = int(place * len(whole))
    path.write_bytes(whole[:start] + (b"" if cut else damage + whole[start + len(damage) :]))
    with suppress(DataError):
        assert list(RowReader(path))


@pytest.mark.parametrize(("name", "said"), [("a.json", r"json\.load\(open\('a\.json'\)\)"),
                                            ("a.txt", r"\.conll if it has a token")])  # fmt: skip
def test_common_endings_without_a_format_say_how_to_convert_them(
    tmp_path: Path, name: str, said: str
) -> None:
    (tmp_path / name).write_text("[]")
    with pytest.raises(DataError, match=said):
        list(RowReader(tmp_path / name))
