"""The loop from traffic to a new champion as one task, which can end itself at a numbered point.

A point lies before and behind every commit to a database (traffic log, monitor, ledger, MLflow),
every rename of a file or directory, and every training step. Run by ``warm_commands.py`` in a
process of its own, in the directory of a workspace; ``KILL_AT`` names the point.
"""

from __future__ import annotations

import functools
import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

LATER = Path("later.jsonl")
N_ROWS = 240
_START = datetime(2026, 10, 1, tzinfo=UTC)
_count = 0


def point() -> None:
    """Count a point; end this process if it is the one."""
    global _count  # noqa: PLW0603 - of the process, which is the task
    _count += 1
    if _count == int(os.environ.get("KILL_AT", "0")):
        os.kill(os.getpid(), signal.SIGKILL)


def between(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def counted(*args: Any, **kwargs: Any) -> Any:
        point()
        result = function(*args, **kwargs)
        point()
        return result

    return counted


def install() -> None:
    """Put the points where they lie."""
    from sqlalchemy.engine.default import DefaultDialect

    from pipeline_steps.training.trainer import StableTrainer

    DefaultDialect.do_commit = between(DefaultDialect.do_commit)
    os.replace, os.rename = between(os.replace), between(os.rename)
    StableTrainer.training_step = between(StableTrainer.training_step)


def smoke_test_here() -> None:
    """Let what is registered answer in this process: a fresh one takes seconds to import MLflow."""
    from toy_registry import answer_in_this_process

    from pipeline_steps.registry import smoke_test

    smoke_test._run = answer_in_this_process


def train() -> None:
    """Train the first champion."""
    smoke_test_here()
    from flows.commands.train import run_train

    run_train(Path.cwd(), announced=False)


def play() -> None:
    """Play the loop to its end and print how many points were passed; finished parts are found."""
    install()
    smoke_test_here()
    from flows.commands.demo_loop import play_traffic, waiting_labels, watch_traffic
    from flows.commands.retrain import run_retrain
    from flows.pipeline import call_directly
    from flows.simulating import ChampionAnswers
    from flows.workspace import Workspace

    workspace = Workspace.open(Path.cwd())
    answers = ChampionAnswers.of(workspace)
    coming = _arrivals(workspace)
    play_traffic(coming, answers)
    result = watch_traffic(workspace)
    while asked := waiting_labels(workspace, coming):
        answers.label(asked)
        result = watch_traffic(workspace)
    answers.label(coming)  # the rest of the labels comes late
    result = watch_traffic(workspace)
    run_retrain(workspace, trigger=result.decision.ticket, sweep=True, call=call_directly)
    watch_traffic(workspace)
    print(_count)  # noqa: T201


def _arrivals(workspace: Any) -> list[Any]:
    from dataclasses import replace

    from flows.commands.simulate_traffic import Rows, stream_arrivals
    from pipeline_steps.monitoring.simulation import Stream

    stream = Stream("none", rows=N_ROWS, start=_START)
    found = stream_arrivals(workspace, stream, Rows(LATER))
    return [replace(arrival, labelled_at=arrival.at) for arrival in found]


def show_state() -> None:
    """Print, as JSON, all of the workspace here that must not depend on where it was killed."""
    from flows.monitoring.windows import open_store
    from flows.registry_access import champion_version, open_ledger
    from flows.workspace import Workspace
    from pipeline_steps.monitoring.traffic import TrafficLog

    workspace = Workspace.open(Path.cwd())
    name = workspace.params.register_.model_name
    entries = open_ledger(workspace).entries(name)
    rows = TrafficLog(workspace.traffic_url).read(0, 10 * N_ROWS)
    champion = champion_version(workspace)
    told = ("retrain_admitted", "retrain_finished", "champion_moved", "registered")
    print(  # noqa: T201
        json.dumps(
            {
                "champion": [champion.version, champion.checkpoint_digest] if champion else None,
                "rows": [
                    (r.prediction.prediction_id, r.prediction.version,
                     str(r.prediction.output), None if r.label is None else str(r.label.label))
                    for r in rows
                ],
                "events": Counter(e.event for e in entries if e.event in told),
                "verdicts": sorted(
                    e.evidence["decision_id"] for e in entries
                    if e.event == "drift_verdict" and e.evidence["verdict"] == "RETRAIN"
                ),
                "tickets": [(t.ticket, t.status) for t in open_store(workspace).tickets(name)],
                "repair": [
                    {k: e.evidence[k] for k in ("repair", "dataset", "fingerprint", "promoted")}
                    for e in entries if e.event == "retrain_finished"
                ],
                "partial": [str(p) for p in Path.cwd().rglob("*.partial")],
            }
        )
    )  # fmt: skip
