"""``holdfast retrain``: a trigger by name, by file or by schedule, and those that never ended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flows.pipeline import Call, say
from flows.retrain import resume_triggers, retrain
from flows.retraining.left_out import describe_left_out
from flows.retraining.recording import RetrainResult, moved_by
from flows.retraining.triggers import Trigger, drift_trigger, interrupted, never_run
from flows.workspace import Workspace
from pipeline_steps.errors import BusyError, HoldfastError, UsageError


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
    with verdicts that never got a run. Where one fails the others go on; its error comes last.

    Raises
    ------
    UsageError
        If none, or more than one of them, is asked for.
    HoldfastError
        The first of the errors of the triggers.
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
    triggers = [*interrupted(workspace), *never_run(workspace)] if sweep or scheduled else []
    if any(asked):
        wanted = _trigger(workspace, trigger, labelled)
        swept = {found.ticket for found in triggers if found.ticket is not None}
        triggers += [] if wanted.ticket in swept else [wanted]
    return _each(workspace, triggers, call)


def _each(workspace: Workspace, triggers: Sequence[Trigger], call: Call) -> list[RetrainResult]:
    """Return what became of each trigger; an error of one is raised once all had their turn."""
    results: list[RetrainResult] = []
    errors: list[HoldfastError] = []
    for trigger in triggers:
        try:
            results.append(retrain(workspace, trigger, call=call))
        except BusyError:  # so it is for the others
            raise
        except HoldfastError as error:
            errors.append(error)
    for other in errors[1:]:
        say(f"holdfast: another trigger failed: {other.received}")
    if errors:
        raise errors[0]
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
        found.append(f"{repair.verdict}: {repair.axis} {moved_by(repair, 3)} ({repair.reason})")
    if result.dataset is not None and result.left_out:
        learnt = describe_left_out(result.dataset.n_train, result.left_out)
        found.append(f"learnt from {learnt}; see data/quarantine/")
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
