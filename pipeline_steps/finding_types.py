"""Further findings of a report: luck of the seed, other versions, what a mistake leaned on."""

from __future__ import annotations

from pipeline_steps.evaluation_types import MetricValue
from pipeline_steps.types import Value


class SeedSpread(Value):
    """The validation scores of one training with several seeds.

    ``scores``: of each of ``seeds``, ``None`` where the run diverged. ``failed`` are seeds that
    learnt no more than ``baseline``, ``chosen`` those that the checkpoint was made of.
    """

    metric: str
    seeds: tuple[int, ...]
    scores: tuple[float | None, ...]
    failed: tuple[int, ...]
    chosen: tuple[int, ...]
    combine: str
    baseline: float
    mean: MetricValue
    deviation: MetricValue


class RobustnessLine(Value):
    """A version beside the line of others: (accuracy on clean rows, accuracy on a suite).

    ``above``: how far ``version`` is above what ``line``, fitted through ``others``, foretells.
    """

    suite: str
    version: tuple[float, float]
    others: tuple[tuple[float, float], ...]
    line: tuple[tuple[float, float], ...]
    above: MetricValue


class Leaning(Value):
    """A wrong answer, and how much each stretch of the text spoke for it rather than for the truth.

    ``stretches``: (text, weight); the weights are shares of the heaviest one's, below 0 where a
    stretch spoke for the truth. ``blank``: how sure the same answer is where no word is.
    """

    example_id: str
    truth: str
    predicted: str
    confidence: float
    stretches: tuple[tuple[str, float], ...]
    blank: float | None = None
