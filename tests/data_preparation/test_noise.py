"""Laws of noise: nothing at zero, the same at the same seed, rows apart from each other."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from builders import rows, write_examples
from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.data_params import RESERVED_SUITES, NoiseParams, SuitesParams
from pipeline_steps.data_preparation.suites import build_suites
from pipeline_steps.errors import DataError
from pipeline_steps.evaluation import shadow
from pipeline_steps.evaluation.behaviour import cases as behaviour
from pipeline_steps.evaluation.stress import averages, scaling
from pipeline_steps.noise import perturb

KINDS = ("typos", "casing", "punctuation", "whitespace", "word_loss", "word_swap")
kinds = st.sampled_from(KINDS)


@given(st.text(max_size=80), kinds, st.integers(0, 9))
def test_zero_rate_is_identity(text: str, kind: str, seed: int) -> None:
    assert perturb(text, kind, 0.0, seed=seed, example_id="a") == text


@given(st.text(max_size=80), kinds, st.floats(0, 1))
def test_the_same_seed_and_id_give_the_same_text(text: str, kind: str, rate: float) -> None:
    once = perturb(text, kind, rate, seed=1, example_id="a")
    assert perturb(text, kind, rate, seed=1, example_id="a") == once


@pytest.mark.parametrize("kind", KINDS)
def test_full_rate_changes_a_sentence_and_ids_differ(kind: str) -> None:
    text = "Where is my card, please? It has not come yet."
    changed = {perturb(text, kind, 0.9, seed=0, example_id=str(i)) for i in range(8)}
    assert text not in changed
    assert len(changed) > 1


@given(st.text(max_size=80), st.floats(0, 1))
def test_swapped_words_are_the_same_words_and_lost_ones_are_none_of_them(
    text: str, rate: float
) -> None:
    swapped = perturb(text, "word_swap", rate, seed=1, example_id="a").split(" ")
    assert sorted(swapped) == sorted(text.split(" "))
    kept = perturb(text, "word_loss", rate, seed=1, example_id="a").split(" ")
    assert 1 <= len(kept) <= len(text.split(" "))
    assert set(kept) <= set(text.split(" "))


def test_more_rate_means_more_typos() -> None:
    text = "the quick brown fox jumps over the lazy dog " * 20
    edits = [
        sum(
            a != b
            for a, b in zip(
                text.split(),
                perturb(text, "typos", rate, seed=0, example_id="a").split(),
                strict=False,
            )
        )
        for rate in (0.0, 0.02, 0.2)
    ]
    assert edits[0] == 0 < edits[1] < edits[2]


def test_suites_hold_the_test_rows_under_the_same_ids_and_the_shift_rows(tmp_path: Path) -> None:
    for name, n in {
        "train": 9,
        "valid": 9,
        "test": 30,
        "shift_time": 5,
        "declared__shop": 4,
    }.items():
        write_examples(tmp_path / f"data/splits/{name}.parquet", rows(n))
    build_suites(SuitesParams(noise=(NoiseParams(name="typos", rate=0.2),)), tmp_path)
    manifest = json.loads((tmp_path / "data/suites/manifest.json").read_text())["suites"]
    assert [(s["name"], s["kind"], s["n_examples"]) for s in manifest] == [
        ("shop", "shift", 4), ("shift_time", "shift", 5), ("typos", "noise", 30),
    ]  # fmt: skip
    noisy = pq.read_table(tmp_path / "data/suites/typos.parquet")
    clean = pq.read_table(tmp_path / "data/splits/test.parquet")
    assert noisy["example_id"] == clean["example_id"]
    assert noisy["label"] == clean["label"]
    assert noisy["text"] != clean["text"]


def write_splits(root: Path, *others: str) -> None:
    for name in ("train", "valid", "test", *others):
        write_examples(root / f"data/splits/{name}.parquet", rows(9))


@pytest.mark.parametrize(
    ("partitions", "name"),
    [
        (["declared__typos"], "typos"),
        (["declared__shift_time", "shift_time"], "shift_time"),
        (["declared__shift_domain", "shift_domain"], "shift_domain"),
        (["declared__later", "out_of_scope__later"], "later"),
        (["out_of_scope__typos"], "typos"),
    ],
)
def test_two_suites_of_one_name_are_refused(
    tmp_path: Path, partitions: list[str], name: str
) -> None:
    write_splits(tmp_path, *partitions)
    with pytest.raises(DataError, match=f"two suites are called {name}"):
        build_suites(SuitesParams(), tmp_path)


@pytest.mark.parametrize("prefix", ["declared__", "out_of_scope__"])
@pytest.mark.parametrize("name", RESERVED_SUITES)
def test_a_suite_with_the_name_of_a_split_or_a_report_is_refused(
    tmp_path: Path, prefix: str, name: str
) -> None:
    write_splits(tmp_path, prefix + name)
    with pytest.raises(DataError, match=f"a suite is called {name}"):
        build_suites(SuitesParams(), tmp_path)


def test_the_names_of_reports_of_other_kinds_are_reserved() -> None:
    assert {behaviour.SUITE, scaling.SUITE, averages.SUITE, shadow.SUITE} <= set(RESERVED_SUITES)
