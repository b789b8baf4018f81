"""Rows that wait for a batch: bounded, bucketed by length, the oldest first.

A batch takes the bucket of the row that has waited longest, and of it as many rows as fit into
the budget of tokens. While one batch is scored the next ones gather, so batches grow with the load
by themselves. A row waits for company only while fewer wait than were scored together last: a lone
client never waits, and clients that ask again and again are gathered.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from pipeline_steps.inference.batching import batch_sizes, company
from pipeline_steps.serving.refusals import queue_is_full
from pipeline_steps.serving.tickets import Row

Prepare = Callable[[list[Row]], None]
_LONGEST_RETRY = 60


class WaitingRows:
    """A bounded queue of rows.

    Parameters
    ----------
    limit : int
        Rows that may wait.
    batch_tokens : int
        Tokens of a batch, padding included.
    max_wait : float
        Seconds that a row waits for company, where there was company for the last one.
    """

    def __init__(self, limit: int, batch_tokens: int, max_wait: float) -> None:
        self.limit = limit
        self.batch_tokens = batch_tokens
        self.max_wait = max_wait
        self.seconds_a_row = 0.0
        self._arrived: list[Row] = []
        self._buckets: dict[tuple[int, bool], deque[Row]] = {}
        self._size = 0
        self._company = 1
        self._closed = False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return self._size

    def put(self, rows: Sequence[Row]) -> None:
        """Let rows wait, all or none.

        Raises
        ------
        RefusedRequestError
            If there is no room for them, with the seconds until there may be.
        """
        with self._changed:
            if self._size + len(rows) > self.limit:
                raise queue_is_full(self._size, self.limit, self._retry_after())
            self._arrived += rows
            self._size += len(rows)
            self._changed.notify()

    def close(self) -> None:
        """Let :meth:`take` return ``None`` once nothing waits any more."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def take(self, prepare: Prepare) -> list[Row] | None:
        """Return the next batch when it is full or its oldest row has waited; ``None``: closed.

        One thread calls this. ``prepare`` sets the tokens of rows; no lock is held for it.
        """
        while True:
            with self._changed:
                while not self._size and not self._closed:
                    self._changed.wait()
                if not self._size:
                    return None
                arrived, self._arrived = self._arrived, []
            self._sort_in(arrived, prepare)
            patience = self._patience()
            if patience <= 0:
                return self._next_batch()
            with self._changed:
                if not self._arrived and not self._closed:
                    self._changed.wait(patience)

    def _sort_in(self, rows: list[Row], prepare: Prepare) -> None:
        if rows:
            prepare(rows)
        for row in rows:
            self._buckets.setdefault(company(row.tokens), deque()).append(row)

    def _patience(self) -> float:
        """Return the seconds still to be waited for company; none where no more is expected."""
        if self._size >= self._company or self._closed:
            return 0.0
        oldest = min(bucket[0].arrived for bucket in self._buckets.values())
        total = sum(row.tokens for bucket in self._buckets.values() for row in bucket)
        if total >= self.batch_tokens:
            return 0.0
        return oldest + self.max_wait - time.monotonic()

    def _next_batch(self) -> list[Row]:
        key = min(self._buckets, key=lambda key: self._buckets[key][0].arrived)
        bucket = self._buckets[key]
        longest = max(row.tokens for row in bucket)
        size = batch_sizes([longest] * len(bucket), self.batch_tokens)[0]
        rows = [bucket.popleft() for _ in range(size)]
        if not bucket:
            del self._buckets[key]
        with self._changed:
            self._size -= size
        self._company = size
        return rows

    def _retry_after(self) -> int:
        return min(max(1, math.ceil(self._size * self.seconds_a_row)), _LONGEST_RETRY)
