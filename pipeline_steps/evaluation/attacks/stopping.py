"""When an attack may stop: as soon as it is clear on which side of its bounds a version is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline_steps.attack_types import AttackSummary, StoppedAttack
from pipeline_steps.comparison_types import PairedComparison
from pipeline_steps.evaluation.sequential import confidence_sequence
from pipeline_steps.evaluation_types import EvaluationReport, MetricValue

Side = Literal["above", "below", "open"]
_DECIDED = "accuracy"


@dataclass(frozen=True)
class Bounds:
    """What is asked of the accuracy under an attack: a floor, or a margin to another model's."""

    floor: float | None = None
    margin: float | None = None
    other: str = "the champion"

    @property
    def words(self) -> tuple[str, ...]:
        """The bounds as reports write them."""
        floor = () if self.floor is None else (f"floor {self.floor:g}",)
        margin = () if self.margin is None else (f"margin {self.margin:g} to {self.other}",)
        return floor + margin


def where_it_stands(
    ours: Sequence[float], theirs: Sequence[float], bounds: Bounds, *, of: int, alpha: float
) -> StoppedAttack:
    """Return what the rows so far decide, with intervals that hold at every number of rows.

    Parameters
    ----------
    ours, theirs : sequence of float
        1 where a row is right under attack, else 0, in an order that does not depend on them;
        ``theirs`` are the champion's on the same rows, or empty.
    bounds : Bounds
        Decided ``above`` when all are, ``below`` when one is.
    of : int
        Rows that there are.
    alpha : float
        Probability that an interval ever misses.

    References
    ----------
    Waudby-Smith and Ramdas (2024), JRSS B 86, 1-27, as in :mod:`..sequential`.
    """
    low, high = confidence_sequence(ours, alpha)
    sides = [] if bounds.floor is None else [_side(low, high, bounds.floor)]
    difference: tuple[float | None, float | None] = (None, None)
    if bounds.margin is not None and theirs:
        halves = [(1.0 + a - b) / 2.0 for a, b in zip(ours, theirs, strict=True)]
        ends = confidence_sequence(halves, alpha)
        difference = (2.0 * ends[0] - 1.0, 2.0 * ends[1] - 1.0)
        sides.append(_side(2.0 * ends[0] - 1.0, 2.0 * ends[1] - 1.0, -bounds.margin))
    return StoppedAttack(
        decision=_together(sides),
        n=len(ours),
        of=of,
        against=bounds.words,
        ci_low=low,
        ci_high=high,
        margin_low=difference[0],
        margin_high=difference[1],
    )


def fair_report(report: EvaluationReport, stopped: StoppedAttack) -> EvaluationReport:
    """Return a report whose accuracy has the interval that stopping keeps; others have none."""
    metrics = tuple(_fair(metric, stopped) for metric in report.metrics)
    return report.model_copy(update={"metrics": metrics, "worst_group": None})


def fair_comparisons(
    comparisons: Sequence[PairedComparison], stopped: Mapping[str, StoppedAttack | None]
) -> list[PairedComparison]:
    """Return comparisons, those of attacks that stopped as :func:`fair_comparison` has them.

    One of a version with itself stays: it was not attacked beside another.
    """
    found = []
    for comparison in comparisons:
        end = stopped.get(comparison.suite)
        paired = end is not None and end.margin_low is not None
        found.append(fair_comparison(comparison, end) if end and paired else comparison)
    return found


def fair_comparison(comparison: PairedComparison, stopped: StoppedAttack) -> PairedComparison:
    """Return the difference in accuracy with the interval that stopping keeps, and no other.

    There is no p-value: the test of a gain takes the number of rows as fixed.
    """
    ends = {
        "ci_low": stopped.margin_low,
        "ci_high": stopped.margin_high,
        "p_value": None,
        "p_worse": None,
    }
    kept = [d.model_copy(update=ends) for d in comparison.differences if d.name == _DECIDED]
    none = {"slices": (), "worst_group": None, "left_out": ()}
    return comparison.model_copy(update={"differences": tuple(kept), **none})


def fair_summary(summary: AttackSummary) -> AttackSummary:
    """Return what is said of an attack with the intervals that stopping keeps."""
    stopped, versus = summary.stopped, summary.versus
    if stopped is None:
        return summary
    ends = {"ci_low": stopped.ci_low, "ci_high": stopped.ci_high}
    if versus is not None and stopped.margin_low is not None:
        pair = {"ci_low": stopped.margin_low, "ci_high": stopped.margin_high}
        paired = versus.paired.model_copy(update=pair)
        versus = versus.model_copy(update={"paired": paired})
    accuracy = summary.accuracy.model_copy(update=ends)
    return summary.model_copy(update={"accuracy": accuracy, "versus": versus})


def _fair(metric: MetricValue, stopped: StoppedAttack) -> MetricValue:
    ends = (stopped.ci_low, stopped.ci_high) if metric.name == _DECIDED else (None, None)
    return metric.model_copy(update={"ci_low": ends[0], "ci_high": ends[1]})


def _side(low: float, high: float, bound: float) -> Side:
    if low >= bound:
        return "above"
    return "below" if high < bound else "open"


def _together(sides: Sequence[Side]) -> Side:
    if "below" in sides:
        return "below"
    return "above" if sides and all(side == "above" for side in sides) else "open"
