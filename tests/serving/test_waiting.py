"""Rows that wait: none is lost or taken twice, none is passed over, batches keep to the budget."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_services import count_words, ticket

from pipeline_steps.inference.batching import bucket_length, company
from pipeline_steps.serving.refusals import RefusedRequestError
from pipeline_steps.serving.waiting import WaitingRows


def all_batches(waiting: WaitingRows) -> list[list]:
    waiting.close()
    batches = []
    while (batch := waiting.take(count_words)) is not None:
        batches.append(batch)
    return batches


@given(
    st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=5), max_size=20),
    st.integers(1, 100),
)
def test_every_row_is_in_one_batch_of_like_rows_within_the_budget(
    requests: list[list[int]], budget: int
) -> None:
    waiting = WaitingRows(1_000, budget, 0.0)
    tickets = [ticket(*lengths, arrived=n) for n, lengths in enumerate(requests)]
    for each in tickets:
        waiting.put(each.rows)
    batches = all_batches(waiting)
    taken = [row for batch in batches for row in batch]
    assert sorted(map(id, taken)) == sorted(id(row) for each in tickets for row in each.rows)
    for batch in batches:
        assert len({company(row.tokens) for row in batch}) == 1
        cost = len(batch) * max(bucket_length(row.tokens) for row in batch)
        assert len(batch) == 1 or cost <= max(budget, 0)
    assert len(waiting) == 0


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.integers(1, 60))
def test_the_row_that_waits_longest_goes_first(lengths: list[int], budget: int) -> None:
    waiting = WaitingRows(1_000, budget, 0.0)
    rows = [ticket(length, arrived=n).rows[0] for n, length in enumerate(lengths)]
    waiting.put(rows)
    left = list(rows)
    for batch in all_batches(waiting):
        assert batch[0] is left[0]
        left = [row for row in left if row not in batch]
    assert left == []


def test_a_request_has_room_for_all_its_rows_or_none() -> None:
    waiting = WaitingRows(3, 100, 0.0)
    waiting.put(ticket(1, 1).rows)
    waiting.seconds_a_row = 3.2
    with pytest.raises(RefusedRequestError, match="2 rows wait already") as caught:
        waiting.put(ticket(1, 1).rows)
    assert (caught.value.status, caught.value.retry_after) == (503, 7)
    waiting.put(ticket(1).rows)
    assert len(waiting) == 3


def test_a_lone_client_never_waits() -> None:
    waiting = WaitingRows(10, 100, 60.0)
    began = time.monotonic()
    for _ in range(3):
        waiting.put(ticket(3, arrived=time.monotonic()).rows)
        assert len(waiting.take(count_words) or []) == 1
    assert time.monotonic() - began < 30


def test_as_many_as_were_scored_together_last_wait_no_longer() -> None:
    waiting = WaitingRows(10, 100, 60.0)
    began = time.monotonic()
    for _ in range(2):
        waiting.put(ticket(3, 3, arrived=time.monotonic()).rows)
        assert len(waiting.take(count_words) or []) == 2
    assert time.monotonic() - began < 30


def after_company(max_wait: float) -> WaitingRows:
    """Return an empty queue whose last batch had two rows."""
    waiting = WaitingRows(10, 100, max_wait)
    waiting.put(ticket(3, 3).rows)
    assert len(waiting.take(count_words) or []) == 2
    return waiting


def test_a_row_after_company_waits_for_company() -> None:
    waiting = after_company(max_wait=60.0)
    began = time.monotonic()
    waiting.put(ticket(3, arrived=began).rows)
    threading.Timer(0.05, lambda: waiting.put(ticket(3, arrived=began + 0.05).rows)).start()
    assert len(waiting.take(count_words) or []) == 2
    assert time.monotonic() - began < 30


def test_a_row_that_finds_no_company_goes_alone_after_its_time() -> None:
    waiting = after_company(max_wait=0.1)
    began = time.monotonic()
    waiting.put(ticket(3, arrived=began).rows)
    assert len(waiting.take(count_words) or []) == 1
    assert 0.1 <= time.monotonic() - began < 30


def test_a_full_batch_does_not_wait() -> None:
    waiting = WaitingRows(10, 6, 60.0)
    waiting.put(ticket(1, 1, 1).rows)
    assert len(waiting.take(count_words) or []) == 3
    now = time.monotonic()
    waiting.put(ticket(3, 3, arrived=now).rows)
    assert waiting.take(count_words) is not None
    assert time.monotonic() - now < 30


def test_who_waits_for_rows_is_woken_when_the_queue_is_closed() -> None:
    waiting = WaitingRows(10, 6, 0.0)
    threading.Timer(0.05, waiting.close).start()
    assert waiting.take(count_words) is None
