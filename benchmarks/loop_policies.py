"""Four answers to later traffic, each played in a workspace by the product's own parts.

never: the first champion stays. always: labels are bought and a retrain is asked for after every
stretch. yearly: after every second one. drift: ``monitor`` decides; its tickets say which labels
are bought. Whatever asked, the retrain is the same: as many labels, the champion goes on with them
and rehearses earlier rows, the gate ``refresh`` and the suites decide.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from loop_worlds import Stretch, World

from flows.commands.demo_loop import waiting_labels, watch_traffic
from flows.retrain import retrain
from flows.retraining.recording import RetrainResult
from flows.retraining.triggers import Trigger
from flows.simulating import ChampionAnswers
from flows.workspace import Workspace
from pipeline_steps.monitoring.simulation import Arrival
from pipeline_steps.monitoring.traffic import TrafficLog

POLICIES = ("never", "always", "yearly", "drift")
_START = datetime(2014, 1, 1, tzinfo=UTC)
_STRETCH = timedelta(days=182)
_BATCH = 100
_NOTHING = {"text_pair": None, "target": None, "domain": None}


@dataclass
class Moment:
    """One stretch of traffic under a policy, and what was done after it."""

    stretch: str
    n: int
    accuracy: float
    version: int
    labels: int = 0
    retrains: int = 0
    verdict: str = ""
    minutes: float = 0.0
    tickets: tuple[str, ...] = ()


def play(
    workspace: Workspace, world: World, policy: str, done: Sequence[Moment]
) -> Iterator[Moment]:
    """Yield what became of each stretch behind those done; after the last nothing is retrained."""
    for number, stretch in enumerate(world.stretches[len(done) :], len(done)):
        answers = ChampionAnswers.of(workspace)
        coming = arrivals_of(stretch, number)
        for start in range(0, len(coming), _BATCH):
            answers.predict(coming[start : start + _BATCH])
        moment = Moment(stretch.name, len(coming), accuracy(workspace, coming),
                        answers.model.version)  # fmt: skip
        if number < len(world.stretches) - 1:
            after(workspace, world, policy, number, answers, moment)
        print(f"  {policy}: {moment}", flush=True)
        yield moment


def arrivals_of(stretch: Stretch, number: int) -> list[Arrival]:
    """Return the rows of a stretch with their synthetic times; labels are there to be bought."""
    begin, step = _START + number * _STRETCH, _STRETCH / len(stretch.rows)
    return [
        Arrival(
            name=f"{number}-{place:05d}", at=begin + place * step, row={**_NOTHING, **row},
            label=row["label"], labelled_at=begin + _STRETCH, shifted=False,
        )
        for place, row in enumerate(stretch.rows)
    ]  # fmt: skip


def accuracy(workspace: Workspace, coming: Sequence[Arrival]) -> float:
    """Return the share of the answers as they were given that are right."""
    truth = {arrival.name: arrival.label for arrival in coming}
    said = {row.prediction.prediction_id: row.prediction.output["label"] for row in _log(workspace)}
    return float(np.mean([said[name] == label for name, label in truth.items()]))


def _log(workspace: Workspace) -> Any:
    log, after_row = TrafficLog(workspace.traffic_url), 0
    while page := log.read(after_row):
        yield from page
        after_row = page[-1].sequence


def after(
    workspace: Workspace,
    world: World,
    policy: str,
    number: int,
    answers: ChampionAnswers,
    moment: Moment,
) -> None:
    """Do what a policy does behind a stretch, and write it into the moment."""
    before = _cpu_seconds()
    result = None
    if policy == "always" or (policy == "yearly" and number % 2 == 1):
        first = number if policy == "always" else number - 1
        result = _scheduled(workspace, world, _since(world, first, number), answers, moment)
    elif policy == "drift":
        result = _watched(workspace, _since(world, 0, number), answers, moment)
    if policy != "never":
        moment.minutes = round((_cpu_seconds() - before) / 60, 2)
    if result is not None:
        _note(moment, result)


def _since(world: World, first: int, last: int) -> list[Arrival]:
    """Return the rows of some stretches: a ticket may ask for those of an earlier one."""
    places = range(first, last + 1)
    return [arrival for place in places for arrival in arrivals_of(world.stretches[place], place)]


def _scheduled(
    workspace: Workspace,
    world: World,
    since: Sequence[Arrival],
    answers: ChampionAnswers,
    moment: Moment,
) -> RetrainResult:
    """Buy labels of rows drawn from all since the last retrain, and ask for one."""
    drawn = np.random.default_rng(0).permutation(len(since))[: world.labels]
    answers.label([since[place] for place in drawn])
    moment.labels = len(drawn)
    return retrain(workspace, Trigger(kind="scheduled"))


def _watched(
    workspace: Workspace, since: Sequence[Arrival], answers: ChampionAnswers, moment: Moment
) -> RetrainResult | None:
    """Let the monitor look, answer what its tickets ask, and retrain where it says so."""
    result = watch_traffic(workspace)
    while asked := waiting_labels(workspace, since, statuses=("open", "harm")):
        answers.label(asked)
        moment.labels += len(asked)
        result = watch_traffic(workspace)
    moment.tickets = tuple(
        f"{t.status} after {0 if t.harm is None else t.harm.n}" for t in result.tickets
    )
    moment.verdict = str(result.decision.verdict)
    if result.decision.verdict != "RETRAIN":
        return None
    return retrain(workspace, Trigger(kind="drift", ticket=result.decision.ticket))


def _note(moment: Moment, result: RetrainResult) -> None:
    moment.retrains = int(result.run is not None)
    moment.verdict = result.answer if result.run is None else result.run.verdict
    if result.repair is not None:
        moment.verdict += f", {result.repair.verdict}"


def _cpu_seconds() -> float:
    """Return the CPU seconds of this process and of those that it has waited for."""
    return sum(os.times()[:4])
