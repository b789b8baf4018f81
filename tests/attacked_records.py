"""Made-up attacks on a version beside another, as a report is given them."""

from __future__ import annotations

import random
from typing import Any

from attack_results import result

from pipeline_steps.attack_types import (
    AgainstVersion,
    AttackCost,
    AttackResult,
    UnderAttack,
    WorstOfAll,
)
from pipeline_steps.evaluation.attacks.budget import budget_curve, queries
from pipeline_steps.evaluation.attacks.measures import held
from pipeline_steps.evaluation.attacks.results_file import AboutAttack
from pipeline_steps.evaluation.attacks.summary import summarise
from pipeline_steps.evaluation.attacks.transfer import compare_attacked, transfer_matrix
from pipeline_steps.evaluation.attacks.worst_case import worst_case
from pipeline_steps.evaluation_types import MetricValue
from pipeline_steps.finding_types import Leaning, RobustnessLine, SeedSpread
from pipeline_steps.judging_params import EvaluateParams

PARAMS = EvaluateParams(bootstrap_resamples=50)
COST = AttackCost(
    n_queries=4321, n_scouted=3000, n_exact=400, n_forwards=120, n_tokens=80_000, n_padding=2_000,
    cpu_seconds=12.3, wall_seconds=14.0,
)  # fmt: skip
CHANGES = {
    "deepwordbug": ("a charming film about very little", "a chraming film about very little"),
    "homoglyph": ("a charming film about very little", "a ch\u0430rming film about very little"),
    "typos_proof": ("a charming film about very little", "a charming flim about very little"),
}


def rows(name: str, share_broken: float, n: int = 60, **changes: Any) -> list[AttackResult]:
    """Return results of which about a share is broken; a tenth was wrong before."""
    draw = random.Random(f"{name} {share_broken}")
    kept = "unbroken" if name == "typos_proof" else "unknown"
    found = []
    for row in range(n):
        spent = draw.randint(5, 60)
        status = "broken" if draw.random() < share_broken else kept
        if row % 10 == 0:
            status, spent = "wrong", 0
        original, perturbed = CHANGES[name]
        found.append(
            result(
                row, status, original=original, perturbed=perturbed, n_queries=spent, n_words=6,
                similarity=draw.uniform(0.5, 0.95) if status == "broken" else None, **changes,
            )
        )  # fmt: skip
    return found


def under_attack(*, versus: bool = True, **changes: Any) -> UnderAttack:
    """Return three attacks on a version, beside the champion or alone."""
    ours = {name: rows(name, 0.3 + 0.2 * i, **changes) for i, name in enumerate(CHANGES)}
    theirs = {name: rows(name, 0.7 - 0.1 * i, **changes) for i, name in enumerate(CHANGES)}
    attacks = [summarise(name, ours[name], AboutAttack(cost=COST), PARAMS) for name in CHANGES]
    worst = worst_case(ours, 0.95)
    other = worst_case(theirs, 0.95)
    if not versus:
        return UnderAttack(
            attacks=tuple(attacks), worst=WorstOfAll(accuracy=worst.accuracy, alone=worst.alone)
        )
    return UnderAttack(
        attacks=tuple(
            attack.model_copy(update={"versus": pair(ours[attack.name], theirs[attack.name])})
            for attack in attacks
        ),
        worst=WorstOfAll(
            accuracy=worst.accuracy,
            alone=worst.alone,
            versus=pair(worst.results, other.results).model_copy(update={"transfers": ()}),
        ),
    )


def pair(ours: Any, theirs: Any) -> AgainstVersion:
    matrix = transfer_matrix(
        {"candidate": ours, "champion": theirs},
        {"candidate": lambda r: [i % 3 == 0 for i in range(len(r))],
         "champion": lambda r: [i % 2 == 0 for i in range(len(r))]},
        0.95,
    )  # fmt: skip
    return AgainstVersion(
        name="champion",
        accuracy=held(theirs, "accuracy_under_attack", 0.95),
        paired=compare_attacked(ours, theirs, 0.95),
        curve=budget_curve(theirs, queries, 0.95),
        transfers=tuple(t for t in matrix if t.found_on != t.judged_on),
    )


def seed_spread() -> SeedSpread:
    """Return five seeds, of which one diverged and one failed."""
    return SeedSpread(
        metric="accuracy", seeds=(0, 1, 2, 3, 4), scores=(0.91, 0.905, None, 0.52, 0.913),
        failed=(2, 3), chosen=(0, 4), combine="soup", baseline=0.53,
        mean=MetricValue(name="accuracy_mean", value=0.812, n=4, ci_low=0.50, ci_high=1.0),
        deviation=MetricValue(name="accuracy_std", value=0.19, n=4, ci_low=0.11, ci_high=0.72),
    )  # fmt: skip


def robustness_line(suite: str = "shift_time") -> RobustnessLine:
    """Return a version above the line of three others."""
    return RobustnessLine(
        suite=suite, version=(0.91, 0.86), others=((0.88, 0.79), (0.9, 0.81), (0.93, 0.85)),
        line=((0.88, 0.789), (0.905, 0.818), (0.93, 0.848)),
        above=MetricValue(
            name="effective_robustness", value=0.035, n=300, ci_low=-0.02, ci_high=0.09
        ),
    )  # fmt: skip


def leaning(text: str = "very little", label: str = "positive") -> Leaning:
    """Return a mistake that leaned on one word most."""
    return Leaning(
        example_id="7", truth="negative", predicted=label, confidence=0.97,
        stretches=(("a ", 0.0), ("charming", 1.0), (" film about ", 0.0), (text, 0.4)),
    )  # fmt: skip
