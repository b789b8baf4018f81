"""``holdfast retrain``: a trigger by name, by file or by schedule, and those that never ended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flows.pipeline import Call
from flows.retrain import RetrainResult, resume_triggers, retrain
from flows.retraining.triggers import Trigger, drift_trigger, interrupted, never_run
from flows.workspace import Workspace
from pipeline_steps.errors import UsageError


def run_retrain(
    workspace: Workspace,
    *,
    trigger: str | None = None,
    labelled: Path | None = None,
    scheduled: bool = False,
    sweep: bool = False,
    resume: str | None = None,
    call: Call,
) -> list[RetrainResult]:
    """Return what became of each trigger: those that wait first, then the one asked for.

    A sweep, which every scheduled run begins with, goes on with triggers that were interrupted, and
    with verdicts that never got a run.

    Raises
    ------
    UsageError
        If none, or more than one of them, is asked for.
    """
    asked = [trigger is not None, labelled is not None, scheduled]
    if sum(asked) > 1 or not (any(asked) or sweep or resume):
        raise UsageError(
            f"{sum(asked)} triggers",
            expected="one of --trigger TICKET, --labelled FILE, --scheduled, --sweep, --resume WHY",
            fix="holdfast retrain --help",
        )
    if resume is not None:
        resume_triggers(workspace, resume)
    results = []
    if sweep or scheduled:
        swept = [*interrupted(workspace), *never_run(workspace)]
        results += [retrain(workspace, found, call=call) for found in swept]
    if any(asked):
        results.append(retrain(workspace, _trigger(workspace, trigger, labelled), call=call))
    return results


def describe(results: Sequence[RetrainResult]) -> str:
    """Return what became of the triggers, in a few lines each."""
    return (
        "\n".join(line for result in results for line in lines(result)) or "nothing to go on with"
    )


def lines(result: RetrainResult) -> list[str]:
    """Return one trigger's answer and, if it was admitted, the window before and after."""
    if result.answer != "RETRAIN":
        return [f"{result.answer}: {result.reason} ({result.trigger})"]
    done = "was finished before" if result.reused else f"finished in {result.seconds:.0f} s"
    found = [f"{result.trigger}: {done}"]
    if result.repair is not None:
        repair = result.repair
        found.append(
            f"{repair.verdict}: {repair.axis} {_number(repair.before)} before, "
            f"{_number(repair.after)} after, on {repair.n} held-back rows ({repair.reason})"
        )
    if result.run is not None:
        found.append(f"version {result.run.version}: {result.run.verdict}")
    if result.report is not None:
        found.append(f"report: {result.report}")
    return found


def _trigger(workspace: Workspace, name: str | None, labelled: Path | None) -> Trigger:
    if name is not None:
        return drift_trigger(workspace, name)
    if labelled is not None:
        return Trigger(kind="labelled", labelled=labelled.resolve())
    return Trigger(kind="scheduled")


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
