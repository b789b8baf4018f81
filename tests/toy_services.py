"""A service around a model of a few lines, with a real traffic log."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from pipeline_steps.monitoring.traffic import TrafficLog
from pipeline_steps.serve_params import ServeParams
from pipeline_steps.serving.application import build_application
from pipeline_steps.serving.label_queue import LabelQueue
from pipeline_steps.serving.service import Service
from pipeline_steps.serving.swapping import ChampionWatch
from pipeline_steps.serving.tickets import Row, Sender, Ticket


@dataclass(frozen=True)
class ToyRow:
    """A request and its words."""

    request: Mapping[str, Any]
    tokens: int


def count_words(rows: Sequence[Row]) -> None:
    """Let rows know their words, as a toy model counts them."""
    for row, prepared in zip(rows, ToyModel().prepare([r.request for r in rows]), strict=True):
        row.tokens = prepared.tokens


@dataclass
class ToyModel:
    """Says how long a text is; cannot read a text with "bad" in it; waits where it is asked to."""

    version: int = 1
    name: str = "toy"
    seconds: float = 0.0
    defect: BaseException | type[BaseException] | None = None
    open: threading.Event = field(default_factory=threading.Event)
    batches: list[list[str]] = field(default_factory=list)
    prepared: int = 0

    def __post_init__(self) -> None:
        self.open.set()

    @property
    def precision(self) -> Mapping[str, Any]:
        return {"precision": "fp32"}

    def prepare(self, requests: Sequence[Mapping[str, Any]]) -> list[ToyRow]:
        return [ToyRow(request, len(request["text"].split())) for request in requests]

    def answer_prepared(self, prepared: Sequence[ToyRow]) -> list[Mapping[str, Any]]:
        self.prepared += len(prepared)
        return self.answer([row.request for row in prepared])

    def embedding_digests(self, prepared: Sequence[ToyRow]) -> list[str | None]:
        return [None] * len(prepared)

    def answer(self, requests: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        if self.defect is not None:
            raise self.defect
        self.open.wait(30)
        time.sleep(self.seconds)
        texts = [request["text"] for request in requests]
        self.batches.append(texts)
        if any("bad" in text for text in texts):
            raise ValueError("cannot be read")
        return [
            {"label": f"{len(t)}", "score": 0.75, "scores": {f"{len(t)}": 0.75, "other": 0.25}}
            for t in texts
        ]


class ToyRegistry:
    """A registry of one toy model."""

    def champion(self) -> int | None:
        return 1

    def challenger(self) -> int | None:
        return None

    def load(self, number: int) -> ToyModel:
        return ToyModel(version=number)


@contextmanager
def toy_client(
    log: TrafficLog, queue: LabelQueue | None = None, **params: Any
) -> Iterator[TestClient]:
    """Yield a client of a service with a toy model over a log, as it is served over HTTP."""
    service = Service(ServeParams(poll_seconds=60, **params), log)
    watch = ChampionWatch(service, ToyRegistry(), "text_classification", say=print)
    with TestClient(build_application(service, "text_classification", watch, queue)) as client:
        yield client


@contextmanager
def toy_service(
    tmp_path: Path, model: ToyModel | None = None, *, shadow: bool = False, **params: Any
) -> Iterator[Service]:
    """Yield a running service; it is drained and closed afterwards."""
    log = TrafficLog(f"sqlite:///{tmp_path / 'traffic.db'}")
    beside = TrafficLog(f"sqlite:///{tmp_path / 'traffic.db'}", "shadow") if shadow else None
    service = Service(ServeParams(**params), log, shadow_log=beside)
    service.switch(model or ToyModel())
    service.start()
    try:
        yield service
    finally:
        service.close()
        log.close()


def texts(*several: str) -> list[Mapping[str, Any]]:
    return [{"text": text} for text in several]


def ticket(*lengths: int, arrived: float = 0.0) -> Ticket:
    """Return a ticket whose rows have so many words."""
    return Ticket.of(texts(*(" ".join("w" * n) for n in lengths)), "r", Sender(), arrived)
