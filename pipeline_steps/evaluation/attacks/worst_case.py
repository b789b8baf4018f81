"""The worst of several attacks and seeds on each row: what an attacker who may try all achieves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline_steps.attack_types import Alone, AttackResult
from pipeline_steps.errors import DataError
from pipeline_steps.evaluation.intervals import wilson_interval
from pipeline_steps.evaluation_types import MetricValue
from pipeline_steps.types import Value

Runs = Mapping[str, Sequence[AttackResult]]
_RANK = {"wrong": 0, "broken": 1, "unknown": 2, "unbroken": 3}


class WorstCase(Value):
    """Every row under the attack that harms it most.

    ``accuracy``: rows that are right before and under every attack, of all rows.
    """

    accuracy: MetricValue
    alone: tuple[Alone, ...]
    results: tuple[AttackResult, ...]


def worst_case(runs: Runs, confidence: float) -> WorstCase:
    """Return the accuracy under the worst of ``runs`` on each row, and what each breaks alone.

    A row is broken if any run breaks it, unbroken only if every run tried all that it may, and
    unchangeable only if no run found anything to try.
    ``n_queries`` of a row is the sum over the runs. The more runs, the lower the accuracy: compare
    models under the same runs only.

    Raises
    ------
    DataError
        If there is no run, or the runs are about different rows.

    References
    ----------
    Croce and Hein (2020), "Reliable evaluation of adversarial robustness with an ensemble of
    diverse parameter-free attacks", ICML 2020, section 5: the worst case of a fixed set of attacks.

    Examples
    --------
    >>> from pipeline_steps.attack_types import AttackResult
    >>> def row(status):
    ...     return AttackResult(example_id="a", status=status, original="", perturbed="", truth="",
    ...         clean_prediction="", prediction="", n_queries=1, n_changed=1, n_words=1)
    >>> worst_case({"x": [row("unknown")], "y": [row("broken")]}, 0.95).accuracy.value
    0.0
    """
    chosen = worst_runs(runs)
    names = list(runs)
    rows = [_merged([runs[name][i] for name in names], runs[w][i]) for i, w in enumerate(chosen)]
    right = sum(row.status in ("unknown", "unbroken") for row in rows)
    low, high = wilson_interval(right, len(rows), confidence)
    accuracy = MetricValue(
        name="worst_case_accuracy", value=right / len(rows), n=len(rows), ci_low=low, ci_high=high
    )
    return WorstCase(accuracy=accuracy, alone=_alone(runs), results=tuple(rows))


def worst_runs(runs: Runs) -> list[str]:
    """Return for each row the name of the run that harms it most, the first of equals.

    One that breaks it before one that does not, then the more harmful answer, and of answers that
    harm alike the one to fewer changed words.
    """
    _refuse_other_rows(runs)
    several = list(runs.values())
    return [min(runs, key=lambda name: _mildness(runs[name][i])) for i in range(len(several[0]))]


def _mildness(result: AttackResult) -> tuple[bool, float, int]:
    held = result.status not in ("wrong", "broken")
    return held, -result.harm, result.n_changed


def _merged(several: Sequence[AttackResult], worst: AttackResult) -> AttackResult:
    """Return the worst text with what all runs together say and cost."""
    status = min((result.status for result in several), key=_RANK.__getitem__)
    n_queries = sum(result.n_queries for result in several)
    idle = all(result.unchangeable for result in several)
    return worst.model_copy(update={"status": status, "n_queries": n_queries, "unchangeable": idle})


def _alone(runs: Runs) -> tuple[Alone, ...]:
    broken = {
        name: {result.example_id for result in results if result.status == "broken"}
        for name, results in runs.items()
    }
    return tuple(
        Alone(name=name, n_broken=len(mine), n_only=len(mine - _others(broken, name)))
        for name, mine in broken.items()
    )


def _others(broken: Mapping[str, set[str]], name: str) -> set[str]:
    return {row for other, rows in broken.items() if other != name for row in rows}


def _refuse_other_rows(runs: Runs) -> None:
    ids = [[result.example_id for result in results] for results in runs.values()]
    if not ids or not ids[0] or any(one != ids[0] for one in ids):
        raise DataError(
            f"the attacks {', '.join(runs) or '(none)'} are not about the same rows",
            expected="at least one attack, and all on the same rows in the same order",
            fix="attack with one attack.n_examples and one attack.seed",
        )
