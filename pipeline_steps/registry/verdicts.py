"""Verdicts and what they rest on, in the ledger: each written down once, the last one counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline_steps.gate_types import GateDecision
from pipeline_steps.registry.ledger import Draft, Ledger
from pipeline_steps.registry.ledger_chain import LedgerEntry
from pipeline_steps.registry.ledger_rows import canonical

VERDICT = "gate_verdict"


def record_verdict(
    ledger: Ledger, model_name: str, *, actor: str, reason: str, evidence: dict[str, Any]
) -> LedgerEntry:
    """Return the entry of a verdict: the last one about its candidate, if that says the same.

    A candidate that is judged against one champion, then another, then the first again has three
    verdicts, the last of which counts, though the first may be equal to it.

    Parameters
    ----------
    ledger : Ledger
        Where it is written.
    model_name, actor, reason : str
        About which model, by whom and why.
    evidence : dict
        The decision, with its ``candidate_digest``, and what it rests on; JSON-serialisable.
    """
    draft = Draft(event=VERDICT, actor=actor, reason=reason, evidence=evidence)
    return append_unless_last(ledger, model_name, draft, about=("candidate_digest",))


def append_unless_last(
    ledger: Ledger, model_name: str, draft: Draft, *, about: Sequence[str]
) -> LedgerEntry:
    """Return the entry of a draft: the last one about the same, if that says the same.

    What is found, corrected and corrected back has three entries: the last one counts.

    Parameters
    ----------
    ledger : Ledger
        Where it is written.
    model_name : str
        About which model.
    draft : Draft
        What is to stand there last.
    about : sequence of str
        The keys of the evidence that say what it is about.
    """

    def rule(entries: Sequence[LedgerEntry]) -> Draft | LedgerEntry:
        same = [e for e in entries if all(e.evidence.get(k) == draft.evidence[k] for k in about)]
        stands = bool(same) and canonical(same[-1].evidence) == canonical(draft.evidence)
        return same[-1] if stands else draft

    return ledger.decide(model_name, [draft.event], rule)


def last_verdict(ledger: Ledger, model_name: str, checkpoint_digest: str) -> LedgerEntry | None:
    """Return the last verdict on a checkpoint, or ``None``."""
    return _last(ledger.entries(model_name), checkpoint_digest)


def run_verdicts(ledger: Ledger, fingerprint: str) -> list[LedgerEntry]:
    """Return the verdicts that the run of a fingerprint has given, oldest first."""
    return [
        entry
        for entry in ledger.entries()
        if entry.event == VERDICT and entry.evidence.get("fingerprint") == fingerprint
    ]


def decision_of(verdict: LedgerEntry) -> GateDecision:
    """Return the decision that the entry of a verdict holds."""
    fields = {k: v for k, v in verdict.evidence.items() if k in GateDecision.model_fields}
    return GateDecision.model_validate(fields)


def verdicts_on(entries: Sequence[LedgerEntry], checkpoint_digest: str) -> list[LedgerEntry]:
    """Return the verdicts on a checkpoint among entries, oldest first."""
    return [
        entry
        for entry in entries
        if entry.event == VERDICT and entry.evidence.get("candidate_digest") == checkpoint_digest
    ]


def _last(entries: Sequence[LedgerEntry], checkpoint_digest: str) -> LedgerEntry | None:
    about = verdicts_on(entries, checkpoint_digest)
    return about[-1] if about else None
