"""``holdfast gate``: the verdict on a candidate, recomputed from its stored predictions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flows.evidence import (
    EVIDENCE,
    EVIDENCE_FILE,
    Evidence,
    EvidenceFolders,
    decide,
    read_evidence,
    recomputed,
)
from flows.policy_changes import asked_of, changes_since_champion
from flows.prepare_data import read_datasets
from flows.registry_access import champion_version, open_ledger, open_tracker
from flows.results import DECISION_FILE
from flows.retraining.version_policy import version_policy
from flows.version_files import runs_of
from flows.workspace import Workspace
from pipeline_steps.errors import EvidenceError, RegistryError, UsageError
from pipeline_steps.gate_types import GateDecision, Verdict
from pipeline_steps.judging_params import GateParams
from pipeline_steps.registry.gate import policy_digest
from pipeline_steps.registry.tracked_runs import FINGERPRINT
from pipeline_steps.registry.verdicts import decision_of, run_verdicts
from pipeline_steps.types import ModelVersion, Value

EXIT_CODES: Mapping[Verdict, int] = {
    Verdict.PROMOTE: 0,
    Verdict.HOLD: 10,
    Verdict.REJECT: 11,
    Verdict.INCONCLUSIVE: 12,
}
"""What ``holdfast gate`` exits with; a refusal has a code below 10."""
_CHANGED = "Asked otherwise than when the champion was judged:"
_MODEL = re.compile(r"models:/(?P<name>[^/@]+)(?:/(?P<version>\d+)|@(?P<alias>[\w-]+))")
_RUN = re.compile(r"(?:runs:/)?(?P<run>[0-9a-f]{32})(?:/.*)?")


class Regated(Value):
    """A verdict that was recomputed, and the one that the ledger holds over the same evidence.

    ``changes``: what is asked otherwise than when the champion was judged.
    """

    candidate: str
    fingerprint: str
    verdict: Verdict
    recorded_verdict: Verdict
    same_policy: bool
    decision: GateDecision
    changes: tuple[str, ...] = ()


def regate(workspace: Workspace, candidate: str, folder: Path | None = None) -> Regated:
    """Return the verdict under today's policy, from predictions that are what they were.

    Of a version of a retrain that is today's policy as its retrain changes it.

    Parameters
    ----------
    workspace : Workspace
        Whose policy, data, champion and ledger count.
    candidate : str
        A version's number, ``models:/NAME/VERSION``, ``models:/NAME@ALIAS``, or a run's id or URI.
    folder : Path, optional
        A directory of evidence, as it was fetched or committed; else that of the run.

    Raises
    ------
    EvidenceError
        If the ledger holds no such verdict, if a piece is missing or was changed, if data or
        champion are not those of the verdict, or if the same policy gives another verdict than was
        recorded.
    RegistryError
        If there is no such candidate.
    """
    run_id = run_of(workspace, candidate)
    tracker = open_tracker(workspace)
    fingerprint = tracker.run(run_id).tags.get(FINGERPRINT, "")
    directory = workspace.run_directory(fingerprint)
    if folder is None and not (directory / EVIDENCE_FILE).exists():
        tracker.download_files(run_id, into=directory)
        tracker.download_files(run_id, into=directory / EVIDENCE, under=EVIDENCE)
    home = directory if folder is None else folder
    evidence = read_evidence(home / EVIDENCE_FILE)
    recorded = _recorded(home / DECISION_FILE)
    _refuse_unanchored(workspace, fingerprint, evidence, recorded)
    _refuse_stale(workspace, evidence, recorded)
    policy = _policy(workspace, evidence)
    decision = _decide(workspace, evidence, policy, [home, home / EVIDENCE])
    same = policy_digest(policy) == recorded.policy_digest
    if same and decision.verdict != recorded.verdict:
        raise EvidenceError(
            f"the recorded verdict is {recorded.verdict}, its evidence says {decision.verdict}: "
            f"{'; '.join(decision.reasons)}",
            expected="the same verdict from the same predictions and policy",
            fix="find out what changed (the code that judges?); then judge anew: holdfast judge "
            "VERSION",
        )
    return Regated(
        candidate=candidate,
        fingerprint=fingerprint,
        verdict=decision.verdict,
        recorded_verdict=recorded.verdict,
        same_policy=same,
        decision=decision,
        changes=_changes(workspace, evidence, policy, decision),
    )


def run_of(workspace: Workspace, candidate: str) -> str:
    """Return the id of the MLflow run that a candidate was last judged in.

    Raises
    ------
    UsageError
        If the candidate is not named in a way that this reads.
    RegistryError
        If there is no such version.
    """
    tracker, name = open_tracker(workspace), workspace.params.register_.model_name
    if candidate.isdecimal():
        return _judged_in(workspace, tracker.version(name, int(candidate)))
    if run := _RUN.fullmatch(candidate):
        return run["run"]
    model = _MODEL.fullmatch(candidate)
    if model is None:
        raise UsageError(
            f"{candidate!r} names no candidate",
            expected="a version's number, models:/NAME/VERSION, models:/NAME@ALIAS, runs:/ID",
            fix="holdfast ledger log shows the versions",
        )
    if model["version"]:
        return _judged_in(workspace, tracker.version(model["name"], int(model["version"])))
    version = tracker.version_by_alias(model["name"], model["alias"])
    if version is None:
        raise RegistryError(
            f"no version of {model['name']} has the alias {model['alias']}",
            expected="champion, challenger or previous, where there is one",
            fix="holdfast ledger log shows the versions",
        )
    return _judged_in(workspace, version)


def _judged_in(workspace: Workspace, version: ModelVersion) -> str:
    """Return the run of the last verdict on a version, else the one that it came from."""
    return next(runs_of(workspace, version))


def lines(regated: Regated) -> str:
    """Return the verdict with its reasons and every check, as people read it."""
    decision = regated.decision
    policy = "" if regated.same_policy else " (under another policy)"
    return "\n".join(
        [
            f"Verdict: {decision.verdict}, recomputed from {len(decision.predictions)} predictions",
            *(f"  - {reason}" for reason in decision.reasons),
            *([_CHANGED] if regated.changes else ()),
            *(f"  - {change}" for change in regated.changes),
            f"in the ledger: {regated.recorded_verdict}{policy}",
            *(f"{'ok  ' if c.passed else 'no  '} {c.name}: {c.reason}" for c in decision.checks),
        ]
    )


def markdown(regated: Regated) -> str:
    """Return what has changed and the verdict as a table, for the summary of a job."""
    from flows.markdown import decision_table

    changes = "".join(f"- {change}\n" for change in regated.changes)
    said = f"**{_CHANGED}**\n\n{changes}\n" if changes else ""
    return said + decision_table(regated.decision)


def _policy(workspace: Workspace, evidence: Evidence) -> GateParams:
    name = workspace.params.register_.model_name
    version = open_tracker(workspace).find_version(name, evidence.candidate_digest)
    return workspace.params.gate if version is None else version_policy(workspace, version.version)


def _decide(
    workspace: Workspace, evidence: Evidence, policy: GateParams, folders: list[Path]
) -> GateDecision:
    found = EvidenceFolders(evidence, workspace.state, folders)
    reports, comparisons = recomputed(found)
    return decide(reports, comparisons, policy, evidence.beside)


def _changes(
    workspace: Workspace, evidence: Evidence, policy: GateParams, decision: GateDecision
) -> tuple[str, ...]:
    """Return what is asked otherwise than of the champion: today's policy, the same intervals."""
    version = champion_version(workspace)
    return changes_since_champion(
        open_ledger(workspace),
        workspace.params.register_.model_name,
        None if version is None else version.checkpoint_digest,
        decision,
        asked_of(policy, evidence.evaluate, workspace.params.register_),
    )


def _recorded(path: Path) -> GateDecision:
    try:
        return GateDecision.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EvidenceError(
            f"{path} cannot be read as a verdict: {error}",
            expected=f"{DECISION_FILE} as holdfast train writes it",
            fix="judge the candidate anew: holdfast judge VERSION",
        ) from error


def _refuse_unanchored(
    workspace: Workspace, fingerprint: str, evidence: Evidence, recorded: GateDecision
) -> None:
    """Refuse a verdict that the ledger does not hold, whole and over this evidence.

    Evidence and decision fit each other whoever wrote them; only the ledger says who did.
    """
    entries = run_verdicts(open_ledger(workspace), fingerprint)
    if not entries:
        raise EvidenceError(
            "the ledger holds no verdict on this candidate",
            expected=f"the verdict {recorded.verdict} of the run with fingerprint {fingerprint}",
            fix="name the ledger that it was judged in (HOLDFAST_LEDGER_URL), or judge it: "
            "holdfast judge VERSION",
        )
    kept = [e for e in entries if e.evidence.get("champion_digest") == evidence.champion_digest]
    last = kept[-1] if kept else entries[-1]
    digest, said = last.evidence.get("evidence_digest"), decision_of(last)
    if digest != evidence.digest or _as_written(said) != _as_written(recorded):
        raise EvidenceError(
            f"{EVIDENCE_FILE} or {DECISION_FILE} is not what the ledger recorded",
            expected=f"evidence with digest {digest}, verdict {said.verdict}",
            fix="find out who changed it; then remove it and judge anew: holdfast judge VERSION",
        )


def _as_written(decision: GateDecision) -> Any:
    """Return what JSON holds of a decision, in whatever order."""
    return json.loads(decision.model_dump_json())


def _refuse_stale(workspace: Workspace, evidence: Evidence, recorded: GateDecision) -> None:
    """Refuse a verdict about other data than today's, or against another champion."""
    for dataset in read_datasets(workspace.root).judged:
        known = recorded.datasets.get(dataset.name)
        if known != dataset.digest:
            raise EvidenceError(
                f"the rows of {dataset.name} are not those that the candidate was judged on",
                expected=f"digest {known}, as recorded" if known else "a verdict on this suite",
                fix="judge the candidate on today's data: holdfast judge VERSION",
            )
    version = champion_version(workspace)
    today = None if version is None else version.checkpoint_digest
    if today not in (evidence.champion_digest, evidence.candidate_digest):
        raise EvidenceError(
            "the champion is another one than the candidate was judged against",
            expected=f"the checkpoint with digest {evidence.champion_digest}",
            fix="judge the candidate against today's champion: holdfast judge VERSION",
        )
