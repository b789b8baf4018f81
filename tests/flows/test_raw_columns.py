"""Which columns of a user's file are read, guessed by name or named."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.commands.raw_columns import column_names, find_columns, named_columns
from pipeline_steps.errors import ConfigurationError, DataError

CSV = "text,label\nhello there,greet\nbye,leave\n"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("text,label", ("text", "label")),
        ("id,Utterance,Intent", ("Utterance", "Intent")),
        ("y,review,sentiment", ("review", "sentiment")),
    ],
)
def test_common_column_names_are_found(
    tmp_path: Path, header: str, expected: tuple[str, str]
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{header}\n{header}\n")
    columns = find_columns([path], {})
    assert (columns.text, columns.label) == expected


def test_columns_that_cannot_be_guessed_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("spalte1\tspalte2\na\tb\n")
    with pytest.raises(DataError, match=r"it has 'spalte1', 'spalte2'\n.*\n.*--text-column NAME"):
        find_columns([path], {})
    with pytest.raises(DataError, match="a column called text, sentence, utterance"):
        find_columns([path], {})


def test_a_second_text_is_read_where_every_file_calls_it_so(tmp_path: Path) -> None:
    both, one = tmp_path / "both.csv", tmp_path / "one.csv"
    both.write_text("text,text_pair,label\na,b,c\n")
    one.write_text("text,label\na,c\n")
    assert find_columns([both], {}).text_pair == "text_pair"
    assert find_columns([both, one], {}).text_pair is None
    assert find_columns([both], {"text_pair": "label"}).text_pair == "label"


def test_the_reply_of_a_dialogue_may_stand_in_a_column_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    path.write_text('{"messages": [{"role": "user", "content": "hi"}], "target": "hello"}\n')
    found = find_columns([path], {}, "dialogue")
    assert (found.messages, found.target) == ("messages", "target")


def test_every_file_must_have_the_columns(tmp_path: Path) -> None:
    rows = tmp_path / "mine.csv"
    rows.write_text(CSV)
    other = tmp_path / "other.jsonl"
    other.write_text('{"text": "a"}\n')
    with pytest.raises(DataError, match=r"other\.jsonl has no column 'label'"):
        find_columns([rows, other], {})


def write_gzip_lines(path: Path) -> None:
    path.write_bytes(gzip.compress(b'{"text": "a"}\nnot json\n{"label": "b", "text": "c"}\n'))


def write_parquet(path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": ["a"], "label": ["b"]}), path)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("bom.csv", lambda path: path.write_bytes(b"\xef\xbb\xbftext,label\r\na,b\r\n")),
        ("a.jsonl.gz", write_gzip_lines),
        ("a.parquet", write_parquet),
    ],
)
def test_names_are_read_from_each_format(
    tmp_path: Path, name: str, write: Callable[[Path], object]
) -> None:
    write(tmp_path / name)
    assert column_names(tmp_path / name) == ["text", "label"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "holds no rows"),
        ("a.csv", b"text,label\n", "holds no rows"),
        ("a.csv.gz", b"\x1f\x8b\x08broken", "is corrupt or truncated"),
        (
            "a.jsonl.gz",
            gzip.compress(b'{"text": 1}\n' * 1000, mtime=0)[:40],
            "is corrupt or truncated",
        ),
        ("a.jsonl", b"not json\n" * 3, "can be read as jsonl"),
        ("a.parquet", b"PAR1", "is corrupt or truncated"),
        ("a.xlsx", b"PK", "is unknown"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_clear_error(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        column_names(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content", "message", "fix"),
    [
        ("a.csv", "text,label\na,b\n".encode("utf-16"), "written in UTF-16", "iconv -f UTF-16"),
        ("a.csv", b"text,label\nf\xfcr,b\n", "line 2: .*0xfc", "iconv -f ISO-8859-1 .* a.csv"),
        ("a.csv", b"text,label\none, two,b\n", "line 2: 3 fields where the header has 2", "quotes"),
        ("a.csv", b"text;label\na;b\n", "separated by ';'", "with commas"),
        ("a.csv", b"text\tlabel\na\tb\n", r"separated by '\\t'", "rename it"),
        ("a.tsv", b"text,label\na,b\n", "separated by ','", "rename it"),
        ("a.csv", b"text,label\ra,b\r", "end with a carriage return", r"tr '\\r' '\\n' < a.csv"),
        ("a.csv", b'text,"label\na,b\n', "no well-formed record .unexpected end", "first line"),
        ("a.jsonl", b"{}\n{}\n", "line 1: an object without a field", "mend"),
        ("a.jsonl", b'[{"text": "a"}]', "line 1: a list where an object", "one JSON object a line"),
    ],
)
def test_what_the_reader_says_of_a_file_reaches_the_user_with_its_remedy(
    tmp_path: Path, name: str, content: bytes, message: str, fix: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as refusal:
        find_columns([tmp_path / name], {})
    assert re.search(fix, refusal.value.fix)


def test_of_several_splits_one_is_asked_for_by_its_directory(tmp_path: Path) -> None:
    from datasets import Dataset, DatasetDict

    rows = Dataset.from_dict({"text": ["a"], "label": ["b"]})
    DatasetDict({"train": rows, "test": rows}).save_to_disk(tmp_path / "both")
    with pytest.raises(DataError, match="several splits: train, test") as refusal:
        column_names(tmp_path / "both")
    assert str(tmp_path / "both" / "train") in refusal.value.fix


def test_a_missing_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no .*gone\.csv"):
        column_names(tmp_path / "gone.csv")


def test_a_column_can_be_named_by_its_field(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"satz": ["a"], "marken": ["O"]}\n')
    with pytest.raises(DataError, match="say which it is: --column tokens=NAME"):
        find_columns([path], {}, "ner")
    named = named_columns(["tokens=satz", "tags=marken"])
    assert find_columns([path], named, "ner").tokens == "satz"
    with pytest.raises(ConfigurationError, match="for example, --column source=sender"):
        named_columns(["worte=satz"])


def test_a_column_that_the_problem_does_not_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(CSV)
    with pytest.raises(ConfigurationError, match="answers: text_classification has no such column"):
        find_columns([path], {"answers": "text"})
