"""The gate's verdicts in the ledger: each written down once, the last one found again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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

    def rule(entries: Sequence[LedgerEntry]) -> Draft | LedgerEntry:
        last = _last(entries, evidence["candidate_digest"])
        if last is not None and canonical(last.evidence) == canonical(evidence):
            return last
        return Draft(event=VERDICT, actor=actor, reason=reason, evidence=evidence)

    return ledger.decide(model_name, [VERDICT], rule)


def last_verdict(ledger: Ledger, model_name: str, checkpoint_digest: str) -> LedgerEntry | None:
    """Return the last verdict on a checkpoint, or ``None``."""
    return _last(ledger.entries(model_name), checkpoint_digest)


def _last(entries: Sequence[LedgerEntry], checkpoint_digest: str) -> LedgerEntry | None:
    about = [
        entry
        for entry in entries
        if entry.event == VERDICT and entry.evidence.get("candidate_digest") == checkpoint_digest
    ]
    return about[-1] if about else None
