"""What the service counts of itself, as Prometheus reads it.

With ``PROMETHEUS_MULTIPROC_DIR`` set the library keeps its numbers in files, and any worker answers
for all.
"""

from __future__ import annotations

import os
from typing import Literal

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_SHARED = "PROMETHEUS_MULTIPROC_DIR"


class Metrics:
    """Counters of one process; each service has its own registry."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter("requests", "Requests answered", "path", "status")
        self.request_seconds = self._histogram(
            "request_seconds", "From the request's arrival to its answer", _SECONDS
        )
        self.batch_rows = self._histogram("batch_rows", "Rows scored together", _ROWS)
        self.batch_seconds = self._histogram("batch_seconds", "Scoring of a batch", _SECONDS)
        self.commit_rows = self._histogram("commit_rows", "Rows logged in one transaction", _ROWS)
        self.commit_seconds = self._histogram(
            "commit_seconds", "A transaction of the traffic log", _SECONDS
        )
        self.waiting_rows = self._gauge("waiting_rows", "Rows that wait for a batch", "livesum")
        self.version = self._gauge("champion_version", "The version that answers", "livemax")
        self.workers = self._gauge("workers", "Workers that answer", "livesum", "version")
        self.swaps = self._counter("swaps", "Changes of the version that answers", "outcome")
        self.shadow_rows = self._counter("shadow_rows", "Rows for the challenger", "outcome")
        self.labels = self._counter("late_labels", "Late labels that were logged")

    def answers_with(self, version: int, before: int | None) -> None:
        """Note the version that answers from now on, and the one that did."""
        self.version.set(version)
        if before is not None:
            self.workers.labels(str(before)).set(0)
        self.workers.labels(str(version)).set(1)

    def text(self) -> bytes:
        """Return all numbers in Prometheus' text format, of all workers where there are several."""
        if _SHARED not in os.environ:
            return generate_latest(self.registry)
        everything = CollectorRegistry()
        multiprocess.MultiProcessCollector(everything)  # type: ignore[no-untyped-call]
        return generate_latest(everything)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"holdfast_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"holdfast_{name}", text, buckets=buckets, registry=self.registry)

    def _gauge(
        self, name: str, text: str, mode: Literal["livesum", "livemax"], *labels: str
    ) -> Gauge:
        return Gauge(
            f"holdfast_{name}", text, labels, multiprocess_mode=mode, registry=self.registry
        )
