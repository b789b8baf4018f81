"""What a training went through, in words: returns, smaller batches, several runs, the way back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def training_facts(training: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return named sentences about a checkpoint's ``training``; what did not happen is left out.

    Examples
    --------
    >>> training_facts({"returns": [
    ...     {"step": 9, "to": 5, "reason": "not_finite", "rate_factor": 0.5}]})
    [('returns', 'step 9 (not finite) to 5, rates x 0.5')]
    """
    return [
        (name, text(training[key]))
        for key, (name, text) in _FACTS.items()
        if training.get(key) is not None
    ]


def _returns(events: Any) -> str:
    return "; ".join(
        f"step {e['step']} ({e['reason'].replace('_', ' ')}) to {e['to']}, "
        f"rates x {e['rate_factor']:g}"
        for e in events
    )


def _batches(budget: Any) -> str:
    return (
        f"{budget['batch_tokens']} tokens, {budget['accumulation_steps']} in a step, "
        "after the memory ran out"
    )


def _ranks(kept: Any) -> str:
    return f"{sum(kept.values())} over {len(kept)} matrices"


def _runs(found: Any) -> str:
    """Return the spread over seeds, the failed ones and what was made of the others."""
    deviation = "" if found["std"] is None else f", standard deviation {found['std']:.3f}"
    scores = f"{found['mean']:.3f} in the mean{deviation}, {found['min']:.3f} to {found['max']:.3f}"
    return (
        f"{len(found['seeds'])} seeds: validation {found['metric'].replace('_', ' ')} {scores}; "
        f"{len(found['failed'])} failed (not above {found['baseline']:.3f}, or diverged); "
        f"{found['combine'].replace('_', ' ')} of {', '.join(map(str, found['chosen']))}"
    )


def _wise_ft(found: Any) -> str:
    return f"alpha {found['alpha']:g} of {', '.join(found['scores'])} (0: the base, 1: tuned)"


def _unaveraged(_: Any) -> str:
    return "none: the best evaluation came before the first average"


_FACTS = {
    "runs": ("runs", _runs),
    "wise_ft": ("interpolated with the base", _wise_ft),
    "returns": ("returns", _returns),
    "batches": ("batches", _batches),
    "ranks": ("ranks kept", _ranks),
    "unaveraged": ("averaged weights", _unaveraged),
}


def training_metrics(training: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a training that stand beside the metrics of a run.

    Examples
    --------
    >>> training_metrics({"runs": {"metric": "accuracy", "seeds": [0, 1], "mean": 0.5, "std": 0.1,
    ...                            "min": 0.4, "max": 0.6, "failed_rate": 0.5}})["failed_run_rate"]
    0.5
    """
    found: dict[str, float] = {}
    if "returns" in training:
        found["n_returns"] = len(training["returns"])
    runs = training.get("runs")
    if runs is not None:
        moments = [name for name in ("mean", "std", "min", "max") if runs[name] is not None]
        found |= {f"valid_{runs['metric']}_{name}": runs[name] for name in moments}
        found |= {"n_runs": len(runs["seeds"]), "failed_run_rate": runs["failed_rate"]}
    if "wise_ft" in training:
        found["wise_ft_alpha"] = training["wise_ft"]["alpha"]
    return found
