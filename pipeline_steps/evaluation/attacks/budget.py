"""Accuracy under attack as a function of what the attacker may spend."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pipeline_steps.attack_types import AttackResult, BudgetPoint
from pipeline_steps.evaluation.intervals import wilson_interval

Spent = Callable[[AttackResult], int]


def queries(result: AttackResult) -> int:
    """Return the answers that were asked for on a row."""
    return result.n_queries


def words(result: AttackResult) -> int:
    """Return the words of a row that were changed."""
    return result.n_changed


def budget_curve(
    results: Sequence[AttackResult], spent: Spent, confidence: float
) -> tuple[BudgetPoint, ...]:
    """Return the accuracy at no budget and at each one at which a row breaks, rising budgets.

    Between two points the accuracy is that of the point before. A search counts whole batches of
    candidates, so a row breaks at the end of the batch in which its text was found: the curve
    never says too early that it is broken. The band holds at one budget at a time, not all along.

    Examples
    --------
    >>> budget_curve([], queries, 0.95)
    ()
    """
    if not results:
        return ()
    right = sum(result.status != "wrong" for result in results)
    costs = sorted(spent(result) for result in results if result.status == "broken")
    lost = {0: 0} | {cost: i for i, cost in enumerate(costs, start=1)}
    n = len(results)
    return tuple(_point(cost, right - gone, n, confidence) for cost, gone in lost.items())


def _point(budget: int, right: int, n: int, confidence: float) -> BudgetPoint:
    low, high = wilson_interval(right, n, confidence)
    return BudgetPoint(budget=budget, accuracy=right / n, n=n, ci_low=low, ci_high=high)
