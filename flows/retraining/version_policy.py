"""The policy that a version is judged by: today's, as its retrain changes it where one made it."""

from __future__ import annotations

from flows.registry_access import open_ledger
from flows.retraining.material import window_demands
from flows.workspace import Workspace
from pipeline_steps.data_preparation.additions import ADDITIONS, WINDOW, read_additions
from pipeline_steps.errors import EvidenceError
from pipeline_steps.judging_params import GateParams
from pipeline_steps.params import parse_params
from pipeline_steps.registry.retrain_history import FINISHED


def version_policy(workspace: Workspace, version: int) -> GateParams:
    """Return the gate's parameters for a version.

    A version of a retrain owes a gain on the window that asked for it, whatever that suite is
    called by now, and on no other.

    Raises
    ------
    EvidenceError
        If the window of its retrain is no suite any more.
    """
    trigger = retrain_of(workspace, version)
    if trigger is None:
        return workspace.params.gate
    values = workspace.params.model_dump(mode="json", by_alias=True)
    values["gate"] |= window_demands(workspace.params, _window_of(workspace, trigger))
    return parse_params(values, source="retrain").gate


def retrain_of(workspace: Workspace, version: int) -> str | None:
    """Return the trigger whose retrain made a version; ``None`` of any other version."""
    entries = open_ledger(workspace).entries(workspace.params.register_.model_name)
    found = [
        str(entry.evidence["trigger"])
        for entry in entries
        if entry.event == FINISHED and entry.evidence.get("version") == version
    ]
    return found[0] if found else None


def _window_of(workspace: Workspace, trigger: str) -> str:
    """Return the suite that holds the held-back rows of a retrain."""
    path = (ADDITIONS / trigger / f"{WINDOW}.jsonl").as_posix()
    for source in read_additions(workspace.root):
        if source.path == path:
            return source.role.removeprefix("suite:")
    raise EvidenceError(
        f"the window of {trigger}, which the version owes a gain on, is no suite any more",
        expected=f"{path} among the sources of {ADDITIONS} (retrain.kept_windows keeps so many)",
        fix="judge a version that today's suites are about: holdfast train",
    )
