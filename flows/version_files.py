"""What the MLflow runs of a version keep: reports, decision, card, predictions; fetched, read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from flows.evidence import CANDIDATE, EVIDENCE, EVIDENCE_FILE, EvidenceFolders, read_evidence
from flows.findings import EVALUATION_FILE
from flows.registry_access import open_ledger, open_tracker
from flows.results import DECISION_FILE, RECORD_FILE
from flows.workspace import Workspace
from pipeline_steps.attack_types import UnderAttack
from pipeline_steps.errors import RegistryError
from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.gate_types import GateDecision
from pipeline_steps.registry.verdicts import verdicts_on
from pipeline_steps.types import ModelVersion, Predictions


def fetch_version_files(workspace: Workspace, version: ModelVersion) -> Path:
    """Return a directory with the files of the run that last judged a version to the end.

    They are fetched each time: a version that is judged anew logs into the same run.

    Raises
    ------
    RegistryError
        If no run keeps any: none came to its end.
    """
    tracker = open_tracker(workspace)
    for run_id in runs_of(workspace, version):
        directory = workspace.state / "versions" / run_id
        tracker.download_files(run_id, directory)
        if (directory / EVALUATION_FILE).exists():
            return directory
    raise RegistryError(
        f"no run of version {version.version} of {version.name} keeps {EVALUATION_FILE}",
        expected="a run that came to its end",
        fix="run holdfast train with its parameters again: it goes on from there",
    )


def runs_of(workspace: Workspace, version: ModelVersion) -> Iterator[str]:
    """Yield the MLflow runs that judged a version, the last one first; at last its own.

    One checkpoint is judged again under another policy, on other data, or once traffic was
    labelled; the run that registered it may have been killed since.
    """
    tracker, ledger = open_tracker(workspace), open_ledger(workspace)
    told = verdicts_on(ledger.entries(version.name), version.checkpoint_digest)
    for fingerprint in dict.fromkeys(
        str(e.evidence.get("fingerprint", "")) for e in reversed(told)
    ):
        run = tracker.find_run(fingerprint)
        if run is not None:
            yield run.mlflow_run_id
    yield version.mlflow_run_id


def recorded_predictions(workspace: Workspace, files: Path, suite: str) -> Predictions | None:
    """Return what a version answered to a suite when it was judged, from its evidence.

    Parameters
    ----------
    workspace : Workspace
        Whose state directory and MLflow runs are looked into.
    files : Path
        What :func:`fetch_version_files` returned.
    suite : str
        The suite's name.

    Raises
    ------
    EvidenceError
        If the predictions are not those that the evidence names.
    """
    path = files / EVIDENCE_FILE
    evidence = read_evidence(path) if path.exists() else None
    file = None if evidence is None else evidence.files.get(f"{CANDIDATE}{suite}")
    if evidence is None or file is None:
        return None
    fetched = files / EVIDENCE / Path(file.place).name
    if not fetched.exists():
        open_tracker(workspace).download_files(files.name, files / EVIDENCE, under=EVIDENCE)
    if not fetched.exists():
        return None
    folders = EvidenceFolders(evidence, workspace.state, [fetched.parent])
    return folders.predictions(f"{CANDIDATE}{suite}")


def recorded_reports(directory: Path) -> list[EvaluationReport]:
    """Return the evaluation reports among a version's files."""
    reports = json.loads((directory / EVALUATION_FILE).read_text(encoding="utf-8"))
    return [EvaluationReport.model_validate(report) for report in reports]


def recorded_attacks(directory: Path) -> UnderAttack | None:
    """Return what attacks found of a version, among its files; ``None``: it was not attacked."""
    path = directory / RECORD_FILE
    if not path.exists():
        return None
    found = json.loads(path.read_text(encoding="utf-8")).get("under_attack")
    return None if found is None else UnderAttack.model_validate(found)


def recorded_decision(directory: Path) -> GateDecision:
    """Return the gate's decision among a version's files."""
    return GateDecision.model_validate_json((directory / DECISION_FILE).read_text(encoding="utf-8"))
