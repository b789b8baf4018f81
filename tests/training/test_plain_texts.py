"""Files of texts that are only read."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from builders import write_examples

from pipeline_steps.errors import DataError
from pipeline_steps.training.plain_texts import read_plain_texts

TEXTS = ["the card is lost", "ein Satz", "the card is lost", ""]
WANTED = ["the card is lost", "ein Satz"]


def objects() -> str:
    return "".join(json.dumps({"text": text, "source": "web"}) + "\n" for text in TEXTS)


@pytest.mark.parametrize("name", ["texts.txt", "texts.txt.gz", "texts.jsonl", "texts.jsonl.gz"])
def test_each_text_of_a_file_is_read_once(name: str, tmp_path: Path) -> None:
    content = (objects() if ".jsonl" in name else "\n".join(TEXTS)).encode()
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert read_plain_texts(path) == WANTED


def test_both_texts_of_examples_are_read(tmp_path: Path) -> None:
    rows = [{"text": "one", "text_pair": "two"}, {"text": "two"}]
    assert read_plain_texts(write_examples(tmp_path / "rows.parquet", rows)) == ["one", "two"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("texts.jsonl", b'{"text": "a"}\n{"txet": "b"}\n', "after line 2: no object with a text"),
        ("texts.jsonl", b'{"text": "a"}\n{"text": ', "after line 2: Expecting value"),
        ("texts.txt", b"\xff\xfe", "can't decode byte"),
        ("texts.txt.gz", b"no gzip", "Not a gzipped file"),
        ("texts.txt", b"\n \n", "it holds no text"),
    ],
)
def test_what_holds_no_texts_is_refused_with_the_line(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_plain_texts(tmp_path / name)
