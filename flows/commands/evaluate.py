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
from pipeline_steps.types import EvaluationReport, ModelVersion


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
        version = _version(workspace, number)
        datasets = prepare_data(workspace, call=call)
        checkpoint = call(checkpoint_of, workspace, version)
        predictions = call(predict_suites, workspace, datasets, checkpoint)
        return call(evaluate_suites, workspace, predictions)


def _version(workspace: Workspace, number: int | None) -> ModelVersion:
    name = workspace.params.register_.model_name
    if number is not None:
        return open_tracker(workspace).version(name, number)
    champion = champion_version(workspace)
    if champion is None:
        raise RegistryError(
            f"{name} has no champion yet",
            expected="a version that the gate let pass, or --version with another one's number",
            fix="holdfast train",
        )
    return champion


def lines(reports: Sequence[EvaluationReport]) -> str:
    """Return a line of headline metrics for each suite."""
    return "\n".join(metrics_lines(reports))
