"""The group that is served worst: its score as a metric, and the difference of two such scores.

A group is a slice of one suite. The lowest of many scores is low by chance as well, and which group
is the worst is not known for sure. So the intervals here hold for all groups at once (Bonferroni):
they are wider than those of a group that was named beforehand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline_steps.comparison_types import PairedDifference
from pipeline_steps.evaluation.scored import ScoredRows, point_metrics
from pipeline_steps.evaluation.slices import slice_rows
from pipeline_steps.evaluation.uncertainty import metric_values
from pipeline_steps.evaluation_types import MetricValue
from pipeline_steps.judging_params import EvaluateParams

Array = np.ndarray[Any, Any]
Ends = tuple[float, float]
Intervals = Callable[[ScoredRows, ScoredRows, EvaluateParams, Sequence[str]], dict[str, Ends]]
PREFIX = "worst_group_"


@dataclass(frozen=True)
class Group:
    """One group under both models: scores, and intervals that hold for all groups at once."""

    candidate: float
    champion: float
    champion_ends: Ends
    difference_ends: Ends


def worst_group_metric(
    rows: ScoredRows, columns: Mapping[str, Array], params: EvaluateParams
) -> MetricValue | None:
    """Return the lowest first headline of all groups; ``None``: there are none with a value.

    n is that of this group. The interval holds the lowest of the true values: its lower end is the
    lowest of the groups' lower ends, its upper end the lowest of their upper ends.
    """
    name = rows.headlines[0]
    groups = [rows.take(mask) for _, _, mask in slice_rows(columns, params)]
    wide = _for_all(params, len(groups))
    found = [m for group in groups for m in metric_values(group, wide, [name])]
    known = [(m.value, m.n, m) for m in found if m.value is not None]
    if not known:
        return None
    worst = min(known, key=lambda one: one[:2])[2]
    return worst.model_copy(
        update={
            "name": f"{PREFIX}{name}",
            "ci_low": min(m.ci_low for _, _, m in known if m.ci_low is not None),
            "ci_high": min(m.ci_high for _, _, m in known if m.ci_high is not None),
        }
    )


def worst_group_difference(
    candidate: ScoredRows,
    champion: ScoredRows,
    columns: Mapping[str, Array],
    params: EvaluateParams,
    intervals: Intervals,
) -> PairedDifference | None:
    """Return the candidate's lowest score minus the champion's; ``None``: there are no groups.

    The two may be those of different groups. There are no p-values: what is shown of a single
    group stands with the slices.
    """
    name = candidate.headlines[0]
    pairs = [
        (candidate.take(mask), champion.take(mask)) for _, _, mask in slice_rows(columns, params)
    ]
    wide = _for_all(params, 2 * len(pairs))
    groups = [_group(*pair, name, wide, intervals) for pair in pairs if _scored(pair, name)]
    if not groups:
        return None
    low, high = difference_of_the_worst(groups)
    ours, theirs = min(g.candidate for g in groups), min(g.champion for g in groups)
    return PairedDifference(
        name=f"{PREFIX}{name}",
        candidate=ours,
        champion=theirs,
        difference=ours - theirs,
        ci_low=low,
        ci_high=high,
        p_value=None,
        p_worse=1.0,
        n=len(candidate),
    )


def difference_of_the_worst(groups: Sequence[Group]) -> Ends:
    """Return an interval of the lowest score of the candidate minus the lowest of the champion.

    Where every interval of the groups holds its value, so does this one. The candidate's lowest
    score is that of some group g: the champion's score there lies above its own lowest by at least
    what their intervals leave between them, and g lost at most its lower end. From above: in the
    group where the champion is lowest the candidate gained at most its upper end; that group is
    among those whose interval reaches below all upper ends.
    """
    reach = min(group.champion_ends[1] for group in groups)
    low = min(
        max(0.0, group.champion_ends[0] - reach) + group.difference_ends[0] for group in groups
    )
    high = max(group.difference_ends[1] for group in groups if group.champion_ends[0] <= reach)
    return low, high


def _for_all(params: EvaluateParams, n_intervals: int) -> EvaluateParams:
    """Return the parameters under which so many intervals hold together (Bonferroni)."""
    missed = (1.0 - params.confidence) / max(1, n_intervals)
    return params.model_copy(update={"confidence": 1.0 - missed})


def _scored(pair: Sequence[ScoredRows], name: str) -> bool:
    return all(math.isfinite(point_metrics(rows)[name]) for rows in pair)


def _group(
    ours: ScoredRows, theirs: ScoredRows, name: str, wide: EvaluateParams, intervals: Intervals
) -> Group:
    [known] = metric_values(theirs, wide, [name])
    low, high = known.ci_low, known.ci_high
    return Group(
        candidate=point_metrics(ours)[name],
        champion=point_metrics(theirs)[name],
        champion_ends=(-math.inf if low is None else low, math.inf if high is None else high),
        difference_ends=intervals(ours, theirs, wide, [name])[name],
    )
