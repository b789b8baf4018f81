"""What retrains add: files beside the declared ones, held-back rows, and which old rows stay."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import examples_table, ingest_params
from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.data_params import SourceParams
from pipeline_steps.data_preparation.additions import (
    ensure_additions,
    next_additions,
    read_additions,
    with_additions,
    write_additions,
)
from pipeline_steps.data_preparation.earlier_rows import drawn, keep_earlier
from pipeline_steps.data_preparation.held_back import held_back_rows
from pipeline_steps.errors import DataError
from pipeline_steps.retrain_params import RowsParams

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def paths_of(name: str) -> dict[str, str]:
    return {part: f"data/additions/{name}/{part}.jsonl" for part in ("train", "window")}


def roles(sources: tuple[SourceParams, ...]) -> dict[str, str]:
    return {Path(source.path).parent.name + "/" + Path(source.path).stem: source.role
            for source in sources}  # fmt: skip


def test_the_latest_window_is_the_suite_window_and_earlier_ones_keep_their_names() -> None:
    one = next_additions((), paths_of("one"), 1)
    assert roles(one) == {"one/train": "train", "one/window": "suite:window"}
    two = next_additions(one, paths_of("two"), 1)
    assert roles(two) == {
        "one/train": "train",
        "one/window": "suite:earlier_one",
        "two/train": "train",
        "two/window": "suite:window",
    }
    three = next_additions(two, paths_of("three"), 1)
    assert "one/window" not in roles(three)
    assert roles(three)["two/window"] == "suite:earlier_two"
    assert roles(three)["one/train"] == "train"


def test_an_addition_that_is_in_the_list_is_not_added_again() -> None:
    once = next_additions((), paths_of("one"), 3)
    assert next_additions(once, paths_of("one"), 3) == once


def test_the_list_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    assert read_additions(tmp_path) == ()
    ensure_additions(tmp_path)
    assert read_additions(tmp_path) == ()
    sources = next_additions((), paths_of("one"), 3)
    write_additions(tmp_path, sources)
    ensure_additions(tmp_path)
    assert read_additions(tmp_path) == sources


def test_a_torn_list_is_a_clear_error(tmp_path: Path) -> None:
    ensure_additions(tmp_path)
    (tmp_path / "data/additions/sources.yaml").write_text("- path: [", encoding="utf-8")
    with pytest.raises(DataError, match=r"sources\.yaml cannot be read"):
        read_additions(tmp_path)


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (["auto"], ["auto"]),
        (["train"], ["auto"]),
        (["train", "valid"], ["auto", "valid"]),
        (["train", "valid", "test"], ["train", "valid", "test"]),
    ],
)
def test_declared_rows_are_split_as_before_when_training_rows_are_added(
    tmp_path: Path, declared: list[str], expected: list[str]
) -> None:
    params = ingest_params(*({"path": f"{i}.csv", "role": r} for i, r in enumerate(declared)))
    assert with_additions(params, tmp_path) == params
    ensure_additions(tmp_path)
    assert with_additions(params, tmp_path) == params
    write_additions(tmp_path, next_additions((), paths_of("one"), 3))
    found = [source.role for source in with_additions(params, tmp_path).sources]
    assert found == [*expected, "train", "suite:window"]


ROWS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([None, "x", "y", "z"])))


@given(ROWS, st.floats(0.05, 0.95))
def test_held_back_rows_leave_each_label_and_group_whole(
    content: list[tuple[str, str | None]], share: float
) -> None:
    ids = [f"r{i}" for i in range(len(content))]
    labels, groups = [row[0] for row in content], [row[1] for row in content]
    held = held_back_rows(ids, labels, share, groups=groups)
    n, n_held = Counter(labels), Counter(x for x, h in zip(labels, held, strict=True) if h)
    assert all(n_held[label] < n[label] for label in n)
    assert all(n_held[label] <= share * n[label] for label in n)
    sides = {group: {h for g, h in zip(groups, held, strict=True) if g == group}
             for group in groups if group is not None}  # fmt: skip
    assert all(len(side) == 1 for side in sides.values())


def test_the_same_rows_are_held_back_in_any_order() -> None:
    ids = [f"r{i}" for i in range(100)]
    labels = [f"l{i % 3}" for i in range(100)]
    held = dict(zip(ids, held_back_rows(ids, labels, 0.5, groups=[None] * 100), strict=True))
    order = np.random.default_rng(0).permutation(100).tolist()
    again = held_back_rows(
        [ids[i] for i in order], [labels[i] for i in order], 0.5, groups=[None] * 100
    )
    assert held == dict(zip([ids[i] for i in order], again, strict=True))
    assert 45 <= sum(held.values()) <= 50


def dated_rows(n: int, **extra: Any) -> list[dict[str, Any]]:
    return [
        {"text": f"text {i}", "label": f"l{i % 2}", "timestamp": NOW - timedelta(days=n - i)}
        | extra
        for i in range(n)
    ]


def kept_ids(earlier: list[dict], new: list[dict], **policy: Any) -> list[str]:
    params = RowsParams.model_validate({"per_label": 1, **policy})
    return keep_earlier(examples_table(earlier), examples_table(new), params)[
        "example_id"
    ].to_pylist()


def test_all_earlier_rows_come_along_by_default() -> None:
    assert kept_ids(dated_rows(5), []) == [f"r{i}" for i in range(5)]


def test_a_sliding_window_keeps_the_latest_days_and_a_row_of_each_label() -> None:
    kept = kept_ids(dated_rows(100), dated_rows(1), policy="sliding", days=10)
    assert set(kept) >= {f"r{i}" for i in range(90, 100)}
    assert len(kept) <= 13


def test_recency_draws_late_rows_more_often() -> None:
    kept = kept_ids(dated_rows(400), [], policy="recency", half_life_days=50, keep=0.5)
    assert len(kept) in (200, 201, 202)
    late = sum(int(i[1:]) >= 200 for i in kept)
    assert late > 150


def test_similarity_draws_rows_like_the_window_more_often() -> None:
    earlier = [{"text": f"card {w} blocked", "label": "a"} for w in range(100)]
    earlier += [{"text": f"loan {w} granted", "label": "b"} for w in range(100)]
    new = [{"text": f"loan {w} granted", "label": "b"} for w in range(100, 140)]
    kept = kept_ids(earlier, new, policy="similarity", keep=0.3)
    assert sum(int(i[1:]) >= 100 for i in kept) > 45


def test_similarity_also_tells_texts_without_blanks_apart_and_needs_no_two_new_rows() -> None:
    digits = str.maketrans("0123456789", "零一二三四五六七八九")
    said = [f"{w}".translate(digits) for w in range(240)]
    earlier = [{"text": f"银行卡{w}被冻结", "label": "a"} for w in said[:100]]
    earlier += [{"text": f"贷款申请{w}获批", "label": "b"} for w in said[100:200]]
    new = [{"text": f"贷款申请{w}获批", "label": "b"} for w in said[200:]]
    kept = kept_ids(earlier, new, policy="similarity", keep=0.3)
    assert sum(int(i[1:]) >= 100 for i in kept) > 45
    for few in (new[:1], []):
        assert len(kept_ids(earlier, few, policy="similarity", keep=0.3)) in (60, 61, 62)


@pytest.mark.parametrize("policy", ["sliding", "recency"])
def test_policies_of_age_refuse_rows_without_dates(policy: str) -> None:
    with pytest.raises(DataError, match="none of 2 earlier rows is dated"):
        kept_ids([{"text": "a", "label": "x"}, {"text": "b", "label": "y"}], [], policy=policy)


def test_the_draw_follows_the_weights() -> None:
    """Of two rows, one with weight 3 is drawn first three times in four."""
    generator = np.random.default_rng(0)
    hits = [drawn(np.array([3.0, 1.0]), 1, generator.uniform(size=2))[0] for _ in range(4_000)]
    assert abs(np.mean(hits) - 0.75) < 3 * np.sqrt(0.75 * 0.25 / 4_000)
