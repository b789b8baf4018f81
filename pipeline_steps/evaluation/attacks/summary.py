"""An attack as the report tells it: shares, what a budget buys, cost, texts, known weakness."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from pipeline_steps.attack_types import AttackResult, AttackSummary, UnderAttack, WorstOfAll
from pipeline_steps.evaluation.attacks.budget import budget_curve, queries, words
from pipeline_steps.evaluation.attacks.catalog import ATTACKS
from pipeline_steps.evaluation.attacks.measures import attack_metrics, clean, held
from pipeline_steps.evaluation.attacks.results_file import AboutAttack
from pipeline_steps.evaluation.attacks.weaknesses import WEAKNESSES
from pipeline_steps.evaluation.attacks.worst_case import worst_case
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


def summarise_all(
    runs: Mapping[str, tuple[Sequence[AttackResult], AboutAttack]], params: EvaluateParams
) -> UnderAttack:
    """Return what is said of attacks on the same rows, and of the worst of several of them.

    Attacks that stopped early ended at different rows, so there is no worst of them.

    Parameters
    ----------
    runs : mapping
        Name of an attack -> what became of each row, and what it cost.
    params : EvaluateParams
        Confidence and resamples.
    """
    worst = None
    if len(runs) > 1 and not any(about.stopped for _, about in runs.values()):
        found = worst_case({name: rows for name, (rows, _) in runs.items()}, params.confidence)
        worst = WorstOfAll(accuracy=found.accuracy, alone=found.alone)
    summaries = (summarise(name, rows, about, params) for name, (rows, about) in runs.items())
    return UnderAttack(attacks=tuple(summaries), worst=worst)


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
