"""Made-up results of attacks."""

from __future__ import annotations

from typing import Any

from pipeline_steps.attack_types import AttackResult


def result(row: str | int, status: str, **changes: Any) -> AttackResult:
    """Return the result of a row; a broken one was said to be b, the truth is a."""
    values: dict[str, Any] = {
        "example_id": str(row), "status": status, "original": "one two", "perturbed": "one twx",
        "truth": "a", "clean_prediction": "b" if status == "wrong" else "a",
        "prediction": "b" if status in ("wrong", "broken") else "a",
        "n_queries": 0 if status == "wrong" else 10, "n_changed": 1, "n_words": 2,
    }  # fmt: skip
    return AttackResult.model_validate(values | changes)


def results(*statuses: str) -> list[AttackResult]:
    return [result(row, status) for row, status in enumerate(statuses)]
