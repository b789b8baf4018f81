"""``holdfast evaluate``: a registered version on today's test set and suites."""

from __future__ import annotations

from collections.abc import Sequence

from flows.candidate import evaluate_suites, predict_suites
from flows.pipeline import Call
from flows.prepare_data import prepare_data
from flows.registry_access import champion_version, checkpoint_of, open_tracker
from flows.workspace import Workspace, locked
from pipeline_steps.errors import RegistryError
from pipeline_steps.reporting.summary import metrics_lines
from pipeline_steps.types import EvaluationReport


def evaluate_version(
    workspace: Workspace, number: int | None, *, call: Call
) -> list[EvaluationReport]:
    """Return the reports of a version, by default the champion's.

    Raises
    ------
    RegistryError
        If there is no such version.
    """
    with locked(workspace):
        datasets = prepare_data(workspace, call=call)
        name = workspace.params.register_.model_name
        version = (
            champion_version(workspace)
            if number is None
            else open_tracker(workspace).version(name, number)
        )
        if version is None:
            raise RegistryError(
                f"{name} has no champion yet",
                expected="a registered version",
                fix="holdfast train",
            )
        checkpoint = call(checkpoint_of, workspace, version)
        predictions = call(predict_suites, workspace, datasets, checkpoint)
        return call(evaluate_suites, workspace, predictions)


def lines(reports: Sequence[EvaluationReport]) -> str:
    """Return a line of headline metrics for each suite."""
    return "\n".join(metrics_lines(reports))
