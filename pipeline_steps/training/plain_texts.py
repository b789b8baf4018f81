"""Texts that are only read: a file of examples, of JSON objects, or of lines."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline_steps.errors import DataError
from pipeline_steps.inference.examples_file import read_examples

_OBJECTS = (".jsonl", ".ndjson")


def read_plain_texts(path: Path) -> list[str]:
    """Return the texts of a file, each once: a context that many rows have is read like any other.

    Parameters
    ----------
    path : Path
        ``.parquet``: examples, of which both texts are read, and those to be written. ``.jsonl``:
        an object a line, of which ``text`` is read. Any other name: one text a line. The last two
        also with ``.gz``.

    Raises
    ------
    DataError
        If the file cannot be read so, or holds no text.
    """
    if path.suffix == ".parquet":
        rows = read_examples(path)
        written = (text for target in rows.targets for text in _written(target))
        return list(dict.fromkeys([*rows.texts, *filter(None, rows.pairs), *written]))
    parse = _text_of_object if path.name.removesuffix(".gz").endswith(_OBJECTS) else str.strip
    texts = list(dict.fromkeys(text for text in _parsed(path, parse) if text))
    if not texts:
        raise _unreadable(path, "it holds no text")
    return texts


def _parsed(path: Path, parse: Callable[[str], str]) -> Iterator[str]:
    number = 0
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8") as lines
        ):
            for number, line in enumerate(lines, start=1):  # noqa: B007 - told in the error
                yield parse(line) if line.strip() else ""
    except (OSError, EOFError, ValueError) as error:
        raise _unreadable(path, f"after line {number}: {error}") from error


def _written(target: str) -> list[str]:
    """Return the texts that an example is to be answered with; most are not with texts."""
    found = json.loads(target) if target else None
    return list(found.get("references", [])) if isinstance(found, dict) else []


def _text_of_object(line: str) -> str:
    found = json.loads(line)
    text = found.get("text") if isinstance(found, dict) else None
    if not isinstance(text, str):
        raise ValueError(f"no object with a text: {line.strip()[:60]}")  # noqa: TRY004 - as json's
    return text.strip()


def _unreadable(path: Path, reason: str) -> DataError:
    return DataError(
        f"{path} cannot be read as texts: {reason}",
        expected="UTF-8, one text a line, or as .jsonl an object with a text a line (both also "
        ".gz), or a .parquet file of examples",
        fix="correct the file, or finetune.pretraining.examples in params.yaml",
    )
