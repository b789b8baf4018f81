"""From reports and comparisons to a recorded verdict, with all that it takes to recompute it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flows.arena import results_path
from flows.candidate import Predicted, champion_suites
from flows.evaluation_sets import shares_with_earlier_sets
from flows.evidence import (
    EVIDENCE_FILE,
    MARKS,
    Evidence,
    StoredFile,
    decide,
    read_evidence,
    stored,
)
from flows.policy_changes import ASKED, asked_of
from flows.prepare_data import Datasets
from flows.registry_access import champion_version, checkpoint_of, open_ledger, open_tracker
from flows.results import DECISION_FILE, standing_verdict
from flows.seed_spread import noise_on
from flows.shadow_evidence import shadow_of_checkpoint
from flows.stress import read_marks
from flows.training_plan import TrainingPlan
from flows.workspace import Workspace
from pipeline_steps.comparison_types import CostComparison, PairedComparison
from pipeline_steps.digests import value_digest
from pipeline_steps.errors import EvidenceError
from pipeline_steps.evaluation.shadow import with_shadow
from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.files import write_text_atomically
from pipeline_steps.gate_types import GateDecision, Look, SeedNoise
from pipeline_steps.registry.alpha_account import looks_before, looks_of
from pipeline_steps.registry.anchors import anchor
from pipeline_steps.registry.gate import Beside, policy_digest
from pipeline_steps.registry.gate_axes import gain_sets
from pipeline_steps.registry.verdicts import (
    VERDICT,
    decision_of,
    record_verdict,
)
from pipeline_steps.types import RECORDED, Checkpoint, Predictions


def weigh_beside(
    workspace: Workspace,
    datasets: Datasets,
    checkpoint: Checkpoint,
    comparisons: Sequence[PairedComparison] | None,
) -> Beside:
    """Return earlier looks at the evaluation sets, costs if the policy bounds them, seed noise."""
    shadow = shadow_of_checkpoint(workspace, checkpoint.digest) if comparisons else None
    window = None if shadow is None else shadow.window_digest
    shared = shares_with_earlier_sets(workspace, datasets, comparisons or (), window)
    looks = _looks(workspace, with_shadow([], comparisons, shadow)[1] or (), shared)
    digests = {look.dataset_digest for look in looks}
    return Beside(
        looks=looks,
        shadow=shadow,
        shared={d: {o: s for o, s in of.items() if o in digests} for d, of in shared.items()},
        costs=_costs(workspace, datasets, checkpoint),
        noise=(*seed_noise(checkpoint), *noise_on(workspace, comparisons)),
        evaluate_digest=evaluate_digest(workspace),
    )


def judge(
    workspace: Workspace,
    plan: TrainingPlan,
    reports: Sequence[EvaluationReport],
    comparisons: Sequence[PairedComparison] | None,
    beside: Beside,
    evidence: Evidence,
) -> GateDecision:
    """Return the gate's decision and write it to the ledger, once for each time that it is made.

    The one that the ledger holds stands if it was made against today's champion, or made this
    candidate the champion: a run that was killed after its promotion finds its own verdict again.
    """
    directory = workspace.run_directory(plan.fingerprint)
    file = directory / DECISION_FILE
    earlier = _standing(workspace, plan, evidence.candidate_digest)
    if earlier is not None:
        write_text_atomically(file, earlier.model_dump_json(indent=2))
        return earlier
    decision = decide(reports, comparisons, workspace.params.gate, beside)
    write_text_atomically(directory / EVIDENCE_FILE, evidence.model_dump_json(indent=1))
    ledger, name = open_ledger(workspace), workspace.params.register_.model_name
    record_verdict(
        ledger,
        name,
        actor=workspace.settings.actor,
        reason=f"{decision.verdict}: {'; '.join(decision.reasons)}",
        evidence={
            "fingerprint": plan.fingerprint,
            "evidence_digest": evidence.digest,
            ASKED: asked_of(evidence.gate, evidence.evaluate, workspace.params.register_),
            **decision.model_dump(mode="json"),
        },
    )
    anchor(open_tracker(workspace), ledger, name)
    write_text_atomically(file, decision.model_dump_json(indent=2))
    return decision


def _standing(
    workspace: Workspace, plan: TrainingPlan, candidate_digest: str
) -> GateDecision | None:
    """Return the candidate's last decision in the ledger if this run's, and holding; else ``None``.

    What lies on disk decides nothing: anybody can write there. Without the evidence that the
    ledger names nobody could recompute it, and the candidate is judged anew.
    """
    entry = standing_verdict(workspace, plan.fingerprint, candidate_digest)
    path = workspace.run_directory(plan.fingerprint) / EVIDENCE_FILE
    if entry is None or not path.exists():
        return None
    try:
        digest = read_evidence(path).digest
    except EvidenceError:  # torn or foreign: as if it were not there
        return None
    return decision_of(entry) if digest == entry.evidence.get("evidence_digest") else None


def collect_evidence(
    workspace: Workspace,
    datasets: Datasets,
    checkpoint: Checkpoint,
    predicted: Predicted,
    attacked: Sequence[Predictions],
    reports: Sequence[EvaluationReport],
    beside: Beside,
) -> Evidence:
    """Return what the verdict rests on: every predictions file with its digest, and the rest."""
    theirs = champion_suites(workspace, datasets, checkpoint)
    files = _files(workspace, "candidate", [*predicted.judged, *attacked])
    files |= _files(workspace, "champion", theirs or ())
    files["valid"] = stored(workspace, predicted.valid.path, predicted.valid)
    marks = read_marks(workspace, datasets)
    for name, path in ({} if marks is None else marks.write(workspace.state / "slices")).items():
        files[f"{MARKS}{name}"] = stored(workspace, path)
    for suite in attacked:
        files[f"results/{suite.suite}"] = stored(workspace, results_path(suite.path))
    return Evidence(
        candidate_digest=checkpoint.digest,
        champion_digest=None if theirs is None else _champion_digest(theirs, checkpoint),
        evaluate=workspace.params.evaluate,
        gate=workspace.params.gate,
        beside=beside,
        files=files,
        recorded=tuple(report for report in reports if report.kind in RECORDED),
    )


def seed_noise(checkpoint: Checkpoint) -> tuple[SeedNoise, ...]:
    """Return how far the first metric spread over the seeds of a training, on validation rows.

    It stands for the same metric on the test set; one seed alone says nothing.
    """
    runs: Mapping[str, Any] = checkpoint.training.get("runs") or {}
    scores = [score for score in runs.get("scores", ()) if score is not None]
    if runs.get("std") is None:
        return ()
    return (
        SeedNoise(
            axis=f"test/{runs['metric']}",
            std=runs["std"],
            runs=len(scores),
            source="on validation rows",
        ),
    )


def _looks(
    workspace: Workspace,
    comparisons: Sequence[PairedComparison],
    shared: Mapping[str, Mapping[str, float]],
) -> tuple[Look, ...]:
    """Return what rows of the sets that gains rest on have decided before, for any model."""
    sets = gain_sets(comparisons, workspace.params.gate)
    if not sets:
        return ()
    entries = open_ledger(workspace).entries()
    looks = looks_of(entry.evidence for entry in entries if entry.event == VERDICT)
    pair = (comparisons[0].candidate_digest, comparisons[0].champion_digest)
    return looks_before(
        looks,
        sets,
        (*pair, policy_digest(workspace.params.gate), evaluate_digest(workspace)),
        frozenset(other for shares in shared.values() for other in shares),
    )


def evaluate_digest(workspace: Workspace) -> str:
    """Return the digest of the parameters of intervals and tests, as a verdict names it."""
    return value_digest(workspace.params.evaluate.model_dump(mode="json"))


def _costs(
    workspace: Workspace, datasets: Datasets, checkpoint: Checkpoint
) -> CostComparison | None:
    """Return latency and size beside the champion's; measured once for each pair."""
    policy, version = workspace.params.gate, champion_version(workspace)
    if version is None or version.checkpoint_digest == checkpoint.digest:
        return None
    if policy.max_latency_ratio is None and policy.max_size_ratio is None:
        return None
    name = f"{checkpoint.digest[:16]}-{version.checkpoint_digest[:16]}.json"
    path = workspace.state / "costs" / name
    if path.exists():
        return CostComparison.model_validate_json(path.read_text(encoding="utf-8"))
    from pipeline_steps.inference.cost import compare_costs

    theirs = checkpoint_of(workspace, version)
    costs = compare_costs(checkpoint, theirs, datasets.test, workspace.params.predict)
    write_text_atomically(path, costs.model_dump_json(indent=1))
    return costs


def _files(workspace: Workspace, side: str, suites: Sequence[Predictions]) -> dict[str, StoredFile]:
    return {f"{side}/{suite.suite}": stored(workspace, suite.path, suite) for suite in suites}


def _champion_digest(theirs: Sequence[Predictions], checkpoint: Checkpoint) -> str:
    return theirs[0].checkpoint_digest if theirs else checkpoint.digest
