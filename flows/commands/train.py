"""``holdfast train``: the train flow with or without Prefect, and its short summary."""

from __future__ import annotations

from pathlib import Path

from flows.pipeline import Call
from flows.record import TrainResult, read_reports
from flows.workspace import Workspace, locked


def run_train(directory: Path, *, call: Call, prefect: bool = False) -> TrainResult:
    """Return the result of the train flow in the workspace ``directory``."""
    if prefect:
        from flows.orchestrated import train as train_flow

        return train_flow(str(directory))
    from flows.train import train

    workspace = Workspace.open(directory)
    with locked(workspace):
        return train(workspace, call=call)


def summarize(workspace: Workspace, result: TrainResult) -> str:
    """Return the run in a few lines: what was done, the verdict and its reasons, the numbers."""
    from pipeline_steps.reporting.summary import summary

    reports, decision = read_reports(workspace, result)
    done = (
        f"nothing to do: this run was finished before ({result.fingerprint[:12]})"
        if result.reused
        else f"finished in {result.seconds:.0f} s ({result.fingerprint[:12]})"
    )
    return f"{done}\n{summary(reports, decision)}"
