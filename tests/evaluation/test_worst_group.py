"""The group that is served worst: whose score it is, and an interval that holds for all groups."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline_steps.evaluation.compare import compare
from pipeline_steps.evaluation.evaluate import evaluate
from pipeline_steps.evaluation.intervals import tango_interval, wilson_interval
from pipeline_steps.evaluation.worst_group import Group, difference_of_the_worst
from pipeline_steps.judging_params import EvaluateParams

PARAMS = EvaluateParams(bootstrap_resamples=50, min_slice_rows=20)
TRUTH = [0] * 60


def wrong_on(domain: int, n: int) -> list[int]:
    """Return answers that are wrong on the first rows of one of the two domains."""
    return [1 if i % 2 == domain and i < 2 * n else 0 for i in range(60)]


def test_the_lowest_score_of_all_groups_carries_their_joint_interval(save) -> None:
    worst = evaluate(save(TRUTH, wrong_on(1, 12)), PARAMS).metric("worst_group_accuracy")
    assert worst is not None
    assert (worst.value, worst.n) == (pytest.approx(18 / 30), 30)
    low, high = wilson_interval(18, 30, 0.975)  # two groups
    assert (worst.ci_low, worst.ci_high) == (pytest.approx(low), pytest.approx(high))


def test_the_worst_groups_of_two_models_may_be_different_ones(save) -> None:
    """The champion is worst on one domain, the candidate on the other, by as much."""
    a = save(TRUTH, wrong_on(0, 12), digest="a")
    b = save(TRUTH, wrong_on(1, 12), digest="b")
    found = compare(a, b, PARAMS).worst_group
    assert found is not None
    assert found.name == "worst_group_accuracy"
    assert (found.difference, found.n) == (0.0, 60)
    assert found.ci_low < 0.0 < found.ci_high
    assert found.candidate == evaluate(a, PARAMS).metric("worst_group_accuracy").value


def test_a_group_far_above_the_worst_may_lose_what_lies_between() -> None:
    low_one = Group(0.50, 0.50, (0.45, 0.55), (-0.02, 0.02))
    high_one = Group(0.85, 0.90, (0.86, 0.94), (-0.10, 0.00))
    assert difference_of_the_worst([low_one, high_one]) == (-0.02, 0.02)


def test_without_groups_there_is_no_worst_one(save) -> None:
    alone = PARAMS.model_copy(update={"slice_columns": ()})
    a, b = save(TRUTH, TRUTH, digest="a"), save(TRUTH, TRUTH, digest="b")
    assert evaluate(a, alone).worst_group is None
    assert compare(a, b, alone).worst_group is None


@pytest.mark.parametrize("lost", [(0.0, 0.0, 0.0), (0.1, 0.0, 0.0), (0.0, 0.0, 0.25)])
def test_the_interval_holds_the_true_difference_in_at_least_nineteen_of_twenty(lost) -> None:
    """Three groups of 60 rows, two of them equally bad, which is hardest for a lowest score."""
    generator, n, held = np.random.default_rng(0), 60, 0
    champion, candidate = np.array([0.7, 0.7, 0.9]), np.array([0.7, 0.7, 0.9]) - lost
    for _ in range(150):
        theirs = generator.random((n, 3)) < champion
        ours = generator.random((n, 3)) < candidate
        groups = [_drawn(ours[:, g], theirs[:, g]) for g in range(3)]
        low, high = difference_of_the_worst(groups)
        held += low <= candidate.min() - champion.min() <= high
    assert held >= 0.95 * 150


def _drawn(ours: np.ndarray, theirs: np.ndarray) -> Group:
    n, confidence = len(ours), 1.0 - 0.05 / 6
    wins, losses = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    return Group(
        candidate=float(ours.mean()),
        champion=float(theirs.mean()),
        champion_ends=wilson_interval(int(theirs.sum()), n, confidence),
        difference_ends=tango_interval(wins, losses, n, confidence),
    )


def test_values_beyond_the_most_slices_are_named(save) -> None:
    one = PARAMS.model_copy(update={"max_slices": 1})
    a, b = save(TRUTH, TRUTH, digest="a"), save(TRUTH, TRUTH, digest="b")
    [said] = evaluate(a, one).not_measured
    assert said == (
        "1 value of domain, the largest with 30 rows: only the 1 largest are slices "
        "(evaluate.max_slices)"
    )
    [left] = compare(a, b, one).left_out
    assert (left.column, left.n_values, left.n) == ("domain", 1, 30)
    assert evaluate(a, PARAMS).not_measured == ()
