"""Which labelled window of traffic is about a candidate: the ledger says it."""

from __future__ import annotations

from typing import Any

from flows.registry_access import champion_version, open_ledger, open_tracker
from flows.workspace import Workspace
from pipeline_steps.gate_types import ShadowEvidence
from pipeline_steps.registry.anchors import anchor
from pipeline_steps.registry.ledger import Draft
from pipeline_steps.registry.verdicts import append_unless_last

SHADOW_EVALUATED = "shadow_evaluated"
_ABOUT = ("candidate_digest", "champion_digest", "window_digest")


def shadow_of_training(workspace: Workspace, training_fingerprint: str) -> ShadowEvidence | None:
    """Return the last evidence about what a training made, beside today's champion."""
    return _last(workspace, "training_fingerprint", training_fingerprint)


def shadow_of_checkpoint(workspace: Workspace, digest: str) -> ShadowEvidence | None:
    """Return the last evidence about a checkpoint, beside today's champion."""
    return _last(workspace, "candidate_digest", digest)


def record_shadow(
    workspace: Workspace, evidence: ShadowEvidence, training_fingerprint: str, reason: str
) -> None:
    """Let the ledger's last entry about a window and a pair be this evidence.

    Labels that were corrected and corrected back are told again. A window that was labelled before
    another one, and is only asked for again, is not: of several windows the last labelled counts.
    """
    ledger, name = open_ledger(workspace), workspace.params.register_.model_name
    draft = Draft(
        event=SHADOW_EVALUATED,
        actor=workspace.settings.actor,
        reason=reason,
        evidence={
            **evidence.model_dump(mode="json"),
            "training_fingerprint": training_fingerprint,
        },
    )
    append_unless_last(ledger, name, draft, about=_ABOUT)
    anchor(open_tracker(workspace), ledger, name)


def _last(workspace: Workspace, key: str, value: str) -> ShadowEvidence | None:
    name = workspace.params.register_.model_name
    found: list[dict[str, Any]] = [
        entry.evidence
        for entry in open_ledger(workspace).entries(name)
        if entry.event == SHADOW_EVALUATED and entry.evidence[key] == value
    ]
    champion = champion_version(workspace) if found else None
    if champion is None:
        return None
    about = [e for e in found if e["champion_digest"] == champion.checkpoint_digest]
    if not about:
        return None
    return ShadowEvidence.model_validate({n: about[-1][n] for n in ShadowEvidence.model_fields})
