"""An attack on two models: each attacked anew on the same rows, and by the other's texts."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline_steps.attack_types import AgainstVersion, AttackResult, Transfer
from pipeline_steps.evaluation.attacks.budget import budget_curve, queries
from pipeline_steps.evaluation.attacks.measures import held
from pipeline_steps.evaluation.attacks.summary import UNDER_ATTACK
from pipeline_steps.evaluation.attacks.transfer import Judge, compare_attacked, transfer_matrix

OURS = "candidate"
"""What the first of two is called in transfers, whatever the other's name."""


def beside_other(
    name: str,
    ours: Sequence[AttackResult],
    theirs: Sequence[AttackResult],
    transfers: tuple[Transfer, ...],
    confidence: float,
) -> AgainstVersion:
    """Return the pair under one attack; ``name`` is the other's."""
    return AgainstVersion(
        name=name,
        accuracy=held(theirs, UNDER_ATTACK, confidence),
        paired=compare_attacked(ours, theirs, confidence),
        curve=budget_curve(theirs, queries, confidence),
        transfers=transfers,
    )


def crossed(
    name: str,
    ours: Sequence[AttackResult],
    theirs: Sequence[AttackResult],
    judges: tuple[Judge, Judge],
    confidence: float,
) -> tuple[Transfer, ...]:
    """Return what each one's texts do to the other; ``judges`` ask ours, and the other."""
    asked = dict(zip((OURS, name), judges, strict=True))
    matrix = transfer_matrix({OURS: ours, name: theirs}, asked, confidence)
    return tuple(found for found in matrix if found.found_on != found.judged_on)
