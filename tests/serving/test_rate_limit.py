"""The rate of an address: what it may ask at once, and how it gets more."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.serving.buckets import Buckets, OwnBuckets, SharedBuckets
from pipeline_steps.serving.rate_limit import RateLimit
from pipeline_steps.serving.refusals import RefusedRequestError


def test_an_address_has_its_own_rows_and_gets_them_back_with_time() -> None:
    now = [0.0]
    limit = RateLimit(60, lambda: now[0])
    limit.spend("a", 60)
    with pytest.raises(RefusedRequestError, match="5 rows at once, and 0 are left") as caught:
        limit.spend("a", 5)
    assert (caught.value.status, caught.value.retry_after) == (429, 5)
    limit.spend("b", 60)
    now[0] += 5
    limit.spend("a", 5)
    now[0] += 60
    with pytest.raises(RefusedRequestError, match="61 rows at once") as caught:
        limit.spend("a", 61)
    assert (caught.value.status, caught.value.retry_after) == (422, None)  # no time will help
    limit.spend("a", 60)


@given(st.lists(st.integers(1, 9), max_size=30), st.integers(1, 9))
def test_who_waits_as_long_as_was_said_is_let_through(asked: list[int], rate: int) -> None:
    now = [0.0]
    limit = RateLimit(rate, lambda: now[0])
    for rows in asked:
        try:
            limit.spend("a", rows)
        except RefusedRequestError as refusal:
            if refusal.retry_after is not None:
                now[0] += refusal.retry_after + 1e-6  # of rounding
                limit.spend("a", rows)


@pytest.mark.parametrize("workers", [1, 2])
@given(st.lists(st.tuples(st.floats(0, 30), st.integers(1, 20)), max_size=60))
def test_never_more_than_the_rate_and_one_bucket(
    workers: int, asked: list[tuple[float, int]]
) -> None:
    now, passed = [0.0], 0
    with tempfile.TemporaryDirectory() as directory:
        kept = [SharedBuckets(Path(directory) / "rows") for _ in range(workers)]
        limits = [RateLimit(30, lambda: now[0], "rows", buckets) for buckets in kept]
        for turn, (pause, rows) in enumerate(asked):
            now[0] += pause
            try:
                limits[turn % workers].spend("a", rows)
            except RefusedRequestError:
                continue
            passed += rows
    assert passed <= 30 + now[0] / 2 + 1e-6


def test_several_processes_count_together(tmp_path: Path) -> None:
    limit = RateLimit(60, time.monotonic, "rows", SharedBuckets(tmp_path / "rows"))
    limit.spend("a", 30)
    code = (
        "import pathlib, sys, time\n"
        "from pipeline_steps.serving.buckets import SharedBuckets\n"
        "from pipeline_steps.serving.rate_limit import RateLimit\n"
        "kept = SharedBuckets(pathlib.Path(sys.argv[1]))\n"
        "RateLimit(60, time.monotonic, 'rows', kept).spend('a', 30)\n"
    )
    subprocess.run([sys.executable, "-P", "-c", code, str(tmp_path / "rows")], check=True)
    with pytest.raises(RefusedRequestError, match=r"60 rows at once, and .* are left"):
        limit.spend("a", 60)
    limit.spend("b", 60)


@pytest.mark.parametrize("kind", ["own", "shared"])
def test_of_many_addresses_the_ones_that_were_idle_longest_are_forgotten(
    tmp_path: Path, kind: str
) -> None:
    buckets: Buckets = OwnBuckets() if kind == "own" else SharedBuckets(tmp_path / "rows")
    for n in range(40_000):
        buckets.put(str(n), (0.0, float(n)))
    kept = [n for n in range(40_000) if buckets.get(str(n)) == (0.0, float(n))]
    assert 10_000 <= len(kept) <= 16_384
    assert set(range(39_000, 40_000)) <= set(kept)
