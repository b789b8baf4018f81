"""An example as it stands in a noise suite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline_steps.noise.catalog import KINDS, perturb_within
from pipeline_steps.problems.problem import Problem


@dataclass(frozen=True)
class NoiseSuite:
    """One noise suite: what it is called, and how its texts are made.

    Parameters
    ----------
    name : str
        In every report.
    kind : str
        One of ``KINDS``.
    rate : float
        How much of what the kind can touch is touched.
    seed : int
        Same seed, same noise.
    """

    name: str
    kind: str
    rate: float
    seed: int


def noisy_row(row: dict[str, Any], problem: Problem, noise: NoiseSuite) -> dict[str, Any]:
    """Return an example as it stands in a noise suite; its target still fits."""

    def noisy(text: str, place: str) -> str:
        name = f"{row['example_id']}:{place}"
        return perturb_within(text, noise.kind, noise.rate, seed=noise.seed, example_id=name)

    return (
        problem.noisy_end(row, noisy)
        if KINDS[noise.kind].reach == "end"
        else problem.noisy(row, noisy)
    )
