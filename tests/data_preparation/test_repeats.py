"""Repeats are found over a whole file, exactly, whatever the chunks and the hashes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import write_examples
from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.data_preparation import repeats
from pipeline_steps.data_preparation.repeats import find_repeats

A_ROW = st.fixed_dictionaries(
    {
        "example_id": st.sampled_from("abcdef"),
        "text": st.sampled_from([None, "", "x", "y", "x\x1f"]),
        "text_pair": st.sampled_from([None, "", "p"]),
        "label": st.sampled_from([None, "l", "m"]),
        "target": st.sampled_from([None, "{}"]),
        "role": st.sampled_from(["train", "test"]),
    }
)


def by_hand(content: list[dict[str, Any]]) -> dict[str, list[bool]]:
    """Return the masks as a plain reading of the definition gives them."""
    ids, contents = set(), set()
    masks: dict[str, list[bool]] = {"duplicate_id": [], "duplicate_row": []}
    for row in content:
        key = tuple(row[name] for name in ("text", "text_pair", "label", "target", "role"))
        repeated_id = row["example_id"] in ids
        repeated_row = row["text"] is not None and key in contents
        masks["duplicate_id"].append(repeated_id)
        masks["duplicate_row"].append(repeated_row)
        ids.add(row["example_id"])
        if not repeated_id:
            contents.add(key)
    return masks


@given(content=st.lists(A_ROW, max_size=12), batch_rows=st.integers(1, 13))
def test_repeats_are_those_of_a_plain_search(
    tmp_path_factory, content: list[dict[str, Any]], batch_rows: int
) -> None:
    path = write_examples(tmp_path_factory.mktemp("r") / "in.parquet", content)
    found = find_repeats(path, batch_rows)
    assert {name: mask.tolist() for name, mask in found.masks.items()} == by_hand(content)


def test_a_collision_of_hashes_makes_no_repeat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All hashes equal: the worst case of a 64-bit hash loses no row."""
    content = [{"text": f"text {i}", "label": "a"} for i in range(10)]
    content.append(dict(content[3]))
    path = write_examples(tmp_path / "in.parquet", content)

    def colliding(batch: Any, target_is_input: bool) -> tuple[Any, ...]:
        same = np.zeros(batch.num_rows, dtype=np.uint64)
        return same, same, same, same, np.zeros(batch.num_rows, dtype=bool)

    monkeypatch.setattr(repeats, "_hash_batch", colliding)
    masks = find_repeats(path, 4).masks
    assert np.flatnonzero(masks["duplicate_row"]).tolist() == [10]
    assert not masks["duplicate_id"].any()


def test_the_same_text_and_label_in_two_roles_is_no_contradiction(tmp_path: Path) -> None:
    content = [{"text": "x", "label": "a", "role": role} for role in ("train", "test")]
    found = find_repeats(write_examples(tmp_path / "in.parquet", content), 10)
    assert not found.conflicting(np.ones(2, dtype=bool)).any()
