"""``holdfast train``: the train flow with or without Prefect, and its short summary."""

from __future__ import annotations

import os
from pathlib import Path

from flows.approval import approval_lines
from flows.pipeline import announcing, call_directly, say
from flows.registry_access import champion_version
from flows.results import TrainResult, read_reports
from flows.workspace import Workspace, locked
from pipeline_steps.registry.tracked_runs import TRAINING_FINGERPRINT


def run_train(
    directory: Path, *, announced: bool, prefect: bool = False, may_promote: bool = True
) -> TrainResult:
    """Return the result of the train flow in the workspace ``directory``.

    With ``announced``, standard error says which step runs.
    """
    if prefect:
        return _run_flow(directory, announced=announced, may_promote=may_promote)
    from flows.train import train

    workspace = Workspace.open(directory)
    with locked(workspace):
        call = announcing(call_directly, say) if announced else call_directly
        return train(workspace, call=call, may_promote=may_promote)


def _run_flow(directory: Path, *, announced: bool, may_promote: bool) -> TrainResult:
    """Run the flow with Prefect's words on the terminal reduced to ours.

    Its logs go to its server all the same; what it would print is every step twice, and a refusal
    as a traceback.
    """
    Workspace.open(directory)  # a wrong params.yaml needs no server to be refused
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    if announced:
        say("- start Prefect")
    from flows.orchestrated import served, train

    with served():
        return train(str(directory), announced=announced, may_promote=may_promote)


def summarize(workspace: Workspace, result: TrainResult) -> str:
    """Return the run in a few lines: what was done, the verdict and its reasons, the numbers."""
    from pipeline_steps.reporting.summary import summary

    reports, decision = read_reports(workspace, result)
    champion = champion_version(workspace)
    number = None if champion is None else champion.version
    name = workspace.params.register_.model_name
    standing = "it is the champion" if number == result.version else f"champion: {number or 'none'}"
    done = (
        f"nothing to do: this run was finished before ({result.fingerprint[:12]})"
        if result.reused
        else f"finished in {result.seconds:.0f} s ({result.fingerprint[:12]})"
    )
    return "\n".join(
        [
            done,
            f"version {result.version} of {name}; {standing}",
            *approval_lines(workspace, result.version),
            summary(reports, decision),
            *_what_training_went_through(workspace, result),
            f"report: {result.report}",
        ]
    )


def _what_training_went_through(workspace: Workspace, result: TrainResult) -> list[str]:
    """Return a line for each unusual thing; none where the checkpoint is no longer here."""
    from flows.registry_access import open_tracker
    from pipeline_steps.inference.checkpoint import load_checkpoint
    from pipeline_steps.reporting.training_facts import training_facts

    run = open_tracker(workspace).find_run(result.fingerprint)
    key = "" if run is None else run.tags.get(TRAINING_FINGERPRINT, "")
    directory = workspace.checkpoint_directory(key)
    if not key or not directory.is_dir():
        return []
    facts = training_facts(load_checkpoint(directory, verify=False).training)
    return [f"{name}: {text}" for name, text in facts]
