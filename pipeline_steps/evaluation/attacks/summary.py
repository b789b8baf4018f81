"""An attack as the report tells it: shares, what a budget buys, cost, texts, known weakness."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pipeline_steps.attack_types import AttackResult, AttackSummary
from pipeline_steps.evaluation.attacks.budget import budget_curve, queries, words
from pipeline_steps.evaluation.attacks.catalog import ATTACKS
from pipeline_steps.evaluation.attacks.measures import attack_metrics, clean, held
from pipeline_steps.evaluation.attacks.results_file import AboutAttack
from pipeline_steps.evaluation.attacks.weaknesses import WEAKNESSES
from pipeline_steps.judging_params import EvaluateParams

_SHOWN = 5
UNDER_ATTACK = "accuracy_under_attack"


def summarise(
    name: str, results: Sequence[AttackResult], about: AboutAttack, params: EvaluateParams
) -> AttackSummary:
    """Return what is said of one attack on one version."""
    counts = Counter(result.status for result in results)
    return AttackSummary(
        name=name,
        paper=ATTACKS[name].paper,
        weakness=WEAKNESSES[name],
        accuracy=held(results, UNDER_ATTACK, params.confidence),
        clean=clean(results, params.confidence),
        metrics=attack_metrics(results, params),
        n_wrong=counts["wrong"],
        n_broken=counts["broken"],
        n_unbroken=counts["unbroken"],
        n_unknown=counts["unknown"],
        curve=budget_curve(results, queries, params.confidence),
        by_words=budget_curve(results, words, params.confidence),
        cost=about.cost,
        examples=told_examples(results),
        seeds=about.seeds,
        stopped=about.stopped,
    )


def told_examples(results: Sequence[AttackResult]) -> tuple[AttackResult, ...]:
    """Return some broken rows, the least changed first, and some that were attacked and held.

    Of those that held, the ones that cost the most queries: the attack tried hardest there.
    """
    broken = [result for result in results if result.status == "broken"]
    broken.sort(key=lambda r: (r.n_changed, -(r.similarity or 0.0), r.example_id))
    holding = [r for r in results if r.status in ("unknown", "unbroken")]
    held_out = [r for r in holding if r.n_queries and not r.unchangeable]
    held_out.sort(key=lambda r: (-r.n_queries, r.example_id))
    return (*broken[:_SHOWN], *held_out[:_SHOWN])
