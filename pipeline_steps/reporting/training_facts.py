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


_FACTS = {
    "returns": ("returns", _returns),
    "batches": ("batches", _batches),
    "ranks": ("ranks kept", _ranks),
}
