"""What a serving process is made of: versions from the registry, the traffic log, the server."""

from __future__ import annotations

import fcntl
import gc
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.listening import listen_on
from flows.pipeline import say
from flows.registry_access import checkpoint_of, open_ledger, open_tracker
from flows.serving_precision import settled
from flows.threads import scoring_threads, usable_cores
from flows.workspace import Workspace
from pipeline_steps.errors import HoldfastError, MissingDependencyError

if TYPE_CHECKING:
    from pipeline_steps.inference.predictor import Predictor, PreparedRow
    from pipeline_steps.monitoring.traffic import TrafficLog
    from pipeline_steps.serving.label_queue import LabelQueue

SHADOW_TABLE = "holdfast_shadow_traffic"
_CHALLENGER = "challenger"
_FORGOTTEN_AT_ONCE = 5_000
_SWITCH_SECONDS = 0.0005
"""How long a thread that answers HTTP may keep the one that scores waiting.

That one lets Python's lock go in each of its some hundred operations, and would else wait up to
5 ms each time to have it back."""


@dataclass(eq=False)
class LoadedVersion:
    """A registered version with its predictor."""

    name: str
    version: int
    predictor: Predictor
    precision: Mapping[str, Any]

    def __post_init__(self) -> None:
        from pipeline_steps.inference.embedding_digests import EmbeddingDigests

        self._digests = EmbeddingDigests(self.predictor.model)

    def prepare(self, requests: Sequence[Mapping[str, Any]]) -> Sequence[PreparedRow]:
        """Return each request as the model reads it."""
        return self.predictor.prepare(requests)

    def answer_prepared(self, prepared: Sequence[PreparedRow]) -> list[Mapping[str, Any]]:
        """Return the answer to each prepared request."""
        return self.predictor.answer_prepared(prepared)

    def embedding_digests(self, prepared: Sequence[PreparedRow]) -> Sequence[str | None]:
        """Return the digest of what the model made of each row that it has just answered."""
        return self._digests.take([row.opening for row in prepared])

    def answer(self, requests: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Return the answer to each request."""
        return self.predictor.answer(requests)


class RegistryVersions:
    """The versions of a workspace's model: the ledger says which, the registry holds them.

    Parameters
    ----------
    shared : Path or None
        A directory of all workers, where there are several.
    """

    def __init__(self, workspace: Workspace, shared: Path | None = None) -> None:
        self.workspace = workspace
        self.shared = shared
        self.name = workspace.params.register_.model_name
        self.ledger = open_ledger(workspace)

    def champion(self) -> int | None:
        """Return the number that the ledger names champion."""
        return self.ledger.champion(self.name)

    def challenger(self) -> int | None:
        """Return the number under the alias of the challenger."""
        version = open_tracker(self.workspace).version_by_alias(self.name, _CHALLENGER)
        return None if version is None else version.version

    def load(self, number: int) -> LoadedVersion:
        """Return a version; its checkpoint is the one that lies here, or is fetched."""
        from pipeline_steps.inference.predictor import Predictor

        with _one_at_a_time(self.workspace):
            version = open_tracker(self.workspace).version(self.name, number)
            checkpoint = checkpoint_of(self.workspace, version)
        predictor = Predictor.from_checkpoint(
            checkpoint.path,
            batch_tokens=self.workspace.params.serve.batch_tokens,
            verify=False,  # checkpoint_of has just done it
        )
        agreed = self.shared and self.shared / f"precision-{number}"
        predictor, choice = settled(predictor, self.workspace, agreed)
        return LoadedVersion(self.name, number, predictor, choice.as_dict())


def open_traffic_log(workspace: Workspace) -> TrafficLog:
    """Return the traffic log of a workspace; the first call makes it."""
    from pipeline_steps.monitoring.traffic import TrafficLog

    workspace.prepare_state()
    return TrafficLog(workspace.traffic_url)


def open_shadow_log(workspace: Workspace) -> TrafficLog:
    """Return the log of what the challenger would have answered."""
    from pipeline_steps.monitoring.traffic import TrafficLog

    workspace.prepare_state()
    return TrafficLog(workspace.traffic_url, SHADOW_TABLE)


def refuse_without_libraries() -> None:
    """Refuse to serve where the extra is not installed.

    Raises
    ------
    MissingDependencyError
        Naming what is missing.
    """
    import importlib.util

    needed = ("fastapi", "uvicorn", "prometheus_client")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingDependencyError(
            f"not installed: {', '.join(missing)}",
            expected="the libraries of the service",
            fix="pip install 'holdfast[serve]'",
        )


def serve_here(
    workspace: Workspace,
    listening: socket.socket,
    *,
    workers: int = 1,
    shared: Path | None = None,
    on_start: Callable[[], None] = lambda: None,
) -> None:
    """Serve from this process until it is asked to end.

    Parameters
    ----------
    listening : socket
        A socket that listens, or is bound and will; several processes may accept from one.
    workers : int
        Processes that share the cores of this machine.
    shared : Path or None
        A directory in which they agree on what holds for all of them.

    Raises
    ------
    HoldfastError
        If the first champion could not be put in place, or the service broke.
    """
    from pipeline_steps.serving.application import build_application
    from pipeline_steps.serving.server import Server
    from pipeline_steps.serving.service import Service
    from pipeline_steps.serving.swapping import ChampionWatch

    params, log = workspace.params.serve, open_traffic_log(workspace)
    _share_cores(params.threads, workers)
    sys.setswitchinterval(_SWITCH_SECONDS)
    shadow = open_shadow_log(workspace) if params.shadow else None
    service = Service(params, log, shadow_log=shadow, on_failure=lambda: server.stop())  # noqa: PLW0108 - made below
    logs = [log] if shadow is None else [log, shadow]
    problem = workspace.params.problem
    watch = ChampionWatch(
        service, RegistryVersions(workspace, shared), problem,
        say=say, forget=lambda: forget_some(workspace, logs), settled=keep_out_of_collections,
    )  # fmt: skip
    queue = _label_queue(workspace, log) if params.label_queue else None
    server = Server(build_application(service, problem, watch, queue, shared))
    if workers > 1:  # one that takes a dead worker's place must not refuse what others can answer
        watch.look()
        listen_on(listening)
    server.run(listening, on_start)
    if service.failed:
        raise service.error or HoldfastError(
            "the service broke; what happened stands above",
            expected="a service that answers until it is asked to end",
            fix="report what stands above, and start it again: holdfast serve",
        )


def keep_out_of_collections() -> None:
    """Let Python's garbage collector pass over all that is here now, and collect it once before.

    The libraries and a model are a million objects that stay. To go over them, as a full collection
    does every few seconds under load, stops all answers for some tenths of a second.
    """
    gc.unfreeze()  # the version before may lie in cycles
    gc.collect()
    gc.freeze()


def _label_queue(workspace: Workspace, log: TrafficLog) -> LabelQueue:
    from flows.monitoring.label_queue import label_queue

    return label_queue(workspace, log)


def forget_some(workspace: Workspace, logs: Sequence[TrafficLog]) -> int:
    """Let logs forget rows that are older than they keep them, and return how many those were.

    Some thousand at most: whoever calls has something else to do too. Where another process of
    this workspace is at it, nothing is done.
    """
    days = workspace.params.serve.retention_days
    if days is None:
        return 0
    before = datetime.now(UTC) - timedelta(days=days)
    with (workspace.state / "retention.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0
        return sum(log.forget(before, at_most=_FORGOTTEN_AT_ONCE) for log in logs)


def _share_cores(asked: int | None, workers: int) -> None:
    """Let torch score with as many threads as are asked for; a user's OMP_NUM_THREADS stands."""
    if asked is None and "OMP_NUM_THREADS" in os.environ:
        return
    import torch

    torch.set_num_threads(asked or scoring_threads(usable_cores(), workers))


@contextmanager
def _one_at_a_time(workspace: Workspace) -> Iterator[None]:
    """Let one process at a time look for a checkpoint, and fetch it where it is missing."""
    with (workspace.state / "serving.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
