"""Digests follow content: the same for the same bytes, another for any other."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.digests import directory_digest, file_digest, value_digest

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def write(directory: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(content, encoding="utf-8")
    return directory


def test_file_digest_is_that_of_the_whole_content_across_chunks(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000
    (tmp_path / "a").write_bytes(content)
    assert file_digest(tmp_path / "a") == hashlib.sha256(content).hexdigest()
    assert file_digest(tmp_path / "a", "md5") == hashlib.md5(content).hexdigest()


@given(st.dictionaries(st.text(), JSON, max_size=6))
def test_value_digest_ignores_the_order_of_keys(value: dict[str, object]) -> None:
    assert value_digest(dict(reversed(value.items()))) == value_digest(value)


@given(JSON, JSON)
def test_values_share_a_digest_only_if_their_json_is_the_same(
    first: object, second: object
) -> None:
    same = json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
    assert (value_digest(first) == value_digest(second)) is same


def test_value_digest_is_the_same_in_another_process() -> None:
    """A digest that depended on the hash seed would reuse nothing."""
    code = "from pipeline_steps.digests import value_digest; print(value_digest({'b': [1, 'é'], 'a': 2.5}))"
    other = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert other.stdout.strip() == value_digest({"a": 2.5, "b": [1, "é"]})


def test_directory_digest_does_not_depend_on_where_the_directory_is(tmp_path: Path) -> None:
    files = {"a.txt": "1", "b/c.txt": "2"}
    first, second = write(tmp_path / "x", files), write(tmp_path / "deep/y", files)
    assert directory_digest(first) == directory_digest(second)


def test_directory_digest_sees_content_names_and_places(tmp_path: Path) -> None:
    variants = [
        {"a.txt": "1", "b.txt": "2"},
        {"a.txt": "2", "b.txt": "1"},
        {"a.txt": "1", "c.txt": "2"},
        {"a.txt": "1", "b/b.txt": "2"},
        {"a.txt": "1"},
    ]
    digests = [
        directory_digest(write(tmp_path / str(number), files))
        for number, files in enumerate(variants)
    ]
    assert len(set(digests)) == len(variants)


def test_an_excluded_file_does_not_enter_the_digest(tmp_path: Path) -> None:
    write(tmp_path, {"a.txt": "1", "meta.json": "old"})
    before = directory_digest(tmp_path, exclude=("meta.json",))
    write(tmp_path, {"meta.json": "new"})
    assert directory_digest(tmp_path, exclude=("meta.json",)) == before
    assert directory_digest(tmp_path) != before
