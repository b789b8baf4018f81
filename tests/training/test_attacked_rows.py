"""Rows as attacks rewrote them: which are read in which epoch, and what cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from objective_runs import run

from pipeline_steps.errors import TrainingError
from pipeline_steps.inference.examples_file import ExampleRows, read_examples
from pipeline_steps.objective_params import AttackedParams, AugmentationParams
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.training.attacked_rows import AttackedRow, AttackedRows, read_attacked
from pipeline_steps.training.augmentation import Augmentation

N = 12
ROWS = ExampleRows(
    [f"r{i}" for i in range(N)], [f"a good card {i}" for i in range(N)], [None] * N,
    ["plus"] * N, [""] * N, {},
)  # fmt: skip
CLASSIFICATION = get_problem("text_classification")


def version(row: int, **changes: Any) -> dict[str, Any]:
    return {
        "example_id": f"r{row}", "text": f"a gpod card {row}", "text_pair": None, "label": "plus",
        "target": "", "original": ROWS.texts[row], "original_pair": None, "recipe": "typos",
        "status": "broken", "n_changed": 1, "n_words": 4, "n_queries": 5, **changes,
    }  # fmt: skip


def written(path: Path, *versions: dict[str, Any]) -> AttackedParams:
    pq.write_table(pa.Table.from_pylist(list(versions)), path)
    return AttackedParams(texts=str(path))


def read(path: Path, *versions: dict[str, Any]) -> list[int]:
    """Return the rows of the versions, the mildest first."""
    found = read_attacked(written(path, *versions), ROWS, CLASSIFICATION)
    return [one.row for one in found.versions]


def test_what_broke_nothing_comes_first_then_what_changed_least(tmp_path) -> None:
    versions = [
        version(0, n_changed=3),
        version(1, n_queries=9),
        version(2),
        version(3, status="unknown", n_changed=4),
    ]
    assert read(tmp_path / "t.parquet", *versions) == [3, 2, 1, 0]


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=20), st.integers(0, 6), st.integers(0, 9),
    st.floats(0, 1),
)  # fmt: skip
def test_epochs_reach_ever_stronger_versions_and_the_last_all_of_them(
    rows, ramp, seed, probability
) -> None:
    versions = [AttackedRow(row, {"text": str(place)}) for place, row in enumerate(rows)]
    params = AttackedParams(texts="t", ramp_epochs=ramp, probability=probability)
    attacked = AttackedRows(versions, params)
    reached = 0
    for epoch in range(ramp + 2):
        shown = attacked.in_epoch(epoch, seed)
        assert shown == attacked.in_epoch(epoch, seed)
        now = attacked._reached(epoch)
        assert now >= reached
        reached = now
        assert all(int(content["text"]) < now for content in shown.values())
        assert all(rows[int(content["text"])] == row for row, content in shown.items())
    assert reached == len(versions)
    assert attacked._reached(0) == (0 if ramp else len(versions))


def test_an_attacked_row_is_read_as_the_attack_left_it_and_the_others_with_noise(tmp_path) -> None:
    def windows(rows: ExampleRows):
        return [[([], text)] for text in rows.texts]

    params = written(tmp_path / "t.parquet", version(4)).model_copy(
        update={"ramp_epochs": 0, "probability": 1.0}
    )
    attacked = read_attacked(params, ROWS, CLASSIFICATION)
    noise = AugmentationParams(probability=1.0, typos=0.5)
    made = Augmentation(noise, ROWS, CLASSIFICATION, windows, 0, attacked=attacked)
    made.set_epoch(0)
    assert made.changed[4][1] == "a gpod card 4"
    assert all(made.changed[row][1] != "a gpod card 4" for row in range(N) if row != 4)


def test_versions_of_rows_that_are_not_learnt_from_or_read_otherwise_are_left_out(tmp_path) -> None:
    versions = [
        version(1),
        version(2, example_id="of the test set"),
        version(3, original="another text"),
        version(4, label="minus"),
        version(5, text=ROWS.texts[5]),
    ]
    assert read(tmp_path / "t.parquet", *versions) == [1]
    with pytest.raises(TrainingError, match="none of its 4 rows is a changed training row"):
        read(tmp_path / "u.parquet", *versions[1:])


def test_a_version_whose_tags_do_not_fit_its_words_is_refused(tmp_path) -> None:
    whole = '{"tokens": ["a", "b"], "tags": ["O", "B-x"]}'
    torn = '{"tokens": ["a", "b", "c"], "tags": ["O", "B-x"]}'
    rows = ExampleRows(["r0"], ["a b"], [None], [""], [whole], {})
    bad = version(0, text="a b c", label="", target=torn, original="a b")
    with pytest.raises(TrainingError, match=r"row r0 does not fit its answer \(lengths_differ\)"):
        read_attacked(written(tmp_path / "t.parquet", bad), rows, get_problem("ner"))


@pytest.mark.parametrize("make", ["nothing", "other columns"])
def test_a_file_that_holds_no_attacked_rows_is_refused(base, data, tmp_path, make) -> None:
    file = tmp_path / "t.parquet"
    if make == "other columns":
        pq.write_table(pa.table({"text": ["a"]}), file)
    message = "there is no file" if make == "nothing" else "attacked.texts: .* cannot be read"
    with pytest.raises(TrainingError, match=message):
        run(base, data, tmp_path, augmentation={"attacked": {"texts": str(file)}})


def test_another_file_under_the_same_name_is_another_run(base, data, tmp_path) -> None:
    rows = read_examples(data["text_classification"][0].path)
    file = tmp_path / "t.parquet"

    def trained(word: str, name: str):
        versions = [
            version(0, example_id=rows.example_ids[i], text=f"{rows.texts[i]} {word}",
                    original=rows.texts[i], label=rows.labels[i], target=rows.targets[i])
            for i in range(20)
        ]  # fmt: skip
        written(file, *versions)
        asked = {"probability": 0.0, "attacked": {"texts": str(file), "ramp_epochs": 0}}
        return run(base, data, tmp_path / name, augmentation=asked)

    first, other = trained("the", "a"), trained("bad", "b")
    assert first.digest != other.digest
    assert first.further_digests != other.further_digests
