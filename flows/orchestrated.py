"""The only module that knows Prefect: the same pipelines with their steps as visible tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogHandler
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows import prepare_data as preparation
from flows import train as training
from flows.candidate import evaluate_suites, judge
from flows.markdown import decision_table, metrics_table, validation_table
from flows.pipeline import Call, announcing, say, step_title
from flows.prefect_server import temporary_server
from flows.prepare_data import Datasets, read_datasets
from flows.record import TrainResult, find_finished, start_run
from flows.workspace import Workspace, locked

_DRAIN_SECONDS = 5
# Only calls to a tracking server can succeed on a second try; everything else is deterministic.
_RETRIES: dict[Callable[..., Any], int] = {find_finished: 2, start_run: 2}
_ARTIFACTS: dict[Callable[..., Any], tuple[str, Callable[[Any], str]]] = {
    read_datasets: ("validation", lambda datasets: validation_table(datasets.validation)),
    evaluate_suites: ("metrics", metrics_table),
    judge: ("decision", decision_table),
}


def call_as_task(step: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Return the step's result, run as a Prefect task that shows its artifact in the UI.

    Prefect's result cache stays off: it hashes paths, not the contents of files.
    """

    def run(*args: Any, **kwargs: Any) -> Any:
        result = step(*args, **kwargs)
        if step in _ARTIFACTS:
            key, render = _ARTIFACTS[step]
            create_markdown_artifact(key=key, markdown=render(result))
        return result

    visible = task(
        name=step_title(step),
        description=step.__doc__,
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=_RETRIES.get(step, 0),
        retry_delay_seconds=5,
    )(run)
    return visible(*args, **kwargs)


@contextmanager
def served() -> Iterator[None]:
    """Run the block with a Prefect server: the one that is set, or a temporary one."""
    if PREFECT_API_URL.value():
        yield
        return
    with temporary_server() as address, temporary_settings({PREFECT_API_URL: address}):
        try:
            yield
        finally:
            # They send in the background, and at exit would look for a server that is gone.
            APILogHandler().flush()
            EventsWorker.drain_all(timeout=_DRAIN_SECONDS)


@flow(name="prepare_data", persist_result=False)
def prepare_data(directory: str = ".", *, announced: bool = False) -> Datasets:
    """Return the datasets of the workspace in ``directory`` after its data stages have run."""
    workspace = Workspace.open(Path(directory))
    with locked(workspace):
        return preparation.prepare_data(workspace, call=_call(announced=announced))


@flow(name="train", persist_result=False)
def train(directory: str = ".", *, announced: bool = False) -> TrainResult:
    """Return the result of training, judging, registering and, if due, promoting a candidate.

    With ``announced``, standard error says which step runs.
    """
    workspace = Workspace.open(Path(directory))
    with locked(workspace):
        return training.train(workspace, call=_call(announced=announced))


def _call(*, announced: bool) -> Call:
    return announcing(call_as_task, say) if announced else call_as_task
