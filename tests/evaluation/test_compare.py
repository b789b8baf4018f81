"""Two models on the same rows: paired, antisymmetric, refused on other rows."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline_steps.errors import DataError
from pipeline_steps.evaluation.compare import compare
from pipeline_steps.judging_params import EvaluateParams

PARAMS = EvaluateParams(bootstrap_resamples=300)
TRUTH = [0, 1, 2] * 40
BETTER = [t if i % 10 else (t + 1) % 3 for i, t in enumerate(TRUTH)]
WORSE = [t if i % 3 else (t + 1) % 3 for i, t in enumerate(TRUTH)]


def difference(comparison, name: str):
    return next(d for d in comparison.differences if d.name == name)


def test_swapping_the_sides_changes_the_sign(save) -> None:
    a, b = save(TRUTH, BETTER, digest="a"), save(TRUTH, WORSE, digest="b")
    one, other = compare(a, b, PARAMS), compare(b, a, PARAMS)
    assert one.n_only_candidate_correct == other.n_only_champion_correct
    for name in ("accuracy", "macro_f1", "ece"):
        ab, ba = difference(one, name), difference(other, name)
        assert ab.difference == pytest.approx(-ba.difference)
        assert ab.ci_low == pytest.approx(-ba.ci_high, abs=1e-3)
    assert difference(one, "accuracy").ci_low > 0


def test_a_model_against_itself_differs_by_nothing_yet_not_surely(save) -> None:
    """No row on which two models differ is weak evidence where there are few rows."""
    a, b = save(TRUTH, BETTER, digest="a"), save(TRUTH, BETTER, digest="b")
    comparison = compare(a, b, PARAMS)
    assert comparison.n_only_candidate_correct == comparison.n_only_champion_correct == 0
    for name in ("accuracy", "macro_f1"):
        found = difference(comparison, name)
        assert found.p_value == 1.0
        assert found.ci_low == pytest.approx(-found.ci_high)
        assert 0.01 < found.ci_high < 0.05


def test_the_paired_interval_is_narrower_than_an_unpaired_one_would_be(save) -> None:
    nearly = [TRUTH[i] if i < 11 else p for i, p in enumerate(BETTER)]
    paired = difference(
        compare(save(TRUTH, nearly, digest="a"), save(TRUTH, BETTER, digest="b"), PARAMS),
        "accuracy",
    )
    assert paired.difference == pytest.approx(2 / 120)
    unpaired = 2 * 1.96 * np.sqrt(2 * 0.9 * 0.1 / 120)
    assert paired.ci_high - paired.ci_low < unpaired / 2


def test_a_metric_where_less_is_better_has_its_p_value_turned_round(save) -> None:
    """The better model has the lower Brier score and a small p-value for being better."""
    a, b = save(TRUTH, BETTER, digest="a"), save(TRUTH, WORSE, digest="b")
    brier = difference(compare(a, b, PARAMS), "brier")
    assert not brier.greater_is_better
    assert brier.difference < 0
    assert brier.p_value < 0.05
    assert difference(compare(b, a, PARAMS), "brier").p_value > 0.9


def test_models_with_other_label_orders_are_compared_by_name(save) -> None:
    turned = save(
        [2 - t for t in TRUTH], [2 - p for p in BETTER], digest="b", labels=("z", "y", "x")
    )
    comparison = compare(save(TRUTH, BETTER, digest="a"), turned, PARAMS)
    assert difference(comparison, "macro_f1").difference == 0
    assert comparison.n_only_candidate_correct == 0


def test_the_same_seed_gives_the_same_comparison(save) -> None:
    a, b = save(TRUTH, BETTER, digest="a"), save(TRUTH, WORSE, digest="b")
    assert compare(a, b, PARAMS) == compare(a, b, PARAMS)


def test_rows_are_paired_by_id_and_not_by_place(save) -> None:
    order = np.random.default_rng(0).permutation(len(TRUTH)).tolist()
    a = save(TRUTH, BETTER, digest="a")
    straight = compare(a, save(TRUTH, WORSE, digest="b"), PARAMS)
    turned = compare(a, save(TRUTH, WORSE, digest="b", order=order), PARAMS)
    same = {"champion_predictions": straight.champion_predictions}
    assert turned.model_copy(update=same) == straight


def test_other_rows_are_refused(save) -> None:
    a, b = save(TRUTH, BETTER, digest="a"), save(TRUTH[::-1], WORSE, digest="b")
    with pytest.raises(DataError, match="are about different rows"):
        compare(a, b, PARAMS)


def test_another_suite_is_refused(save) -> None:
    a, b = save(TRUTH, BETTER, digest="a"), save(TRUTH, WORSE, digest="b", suite="noise")
    with pytest.raises(DataError, match="are about different rows"):
        compare(a, b, PARAMS)


def test_a_metric_that_is_undefined_for_one_side_is_left_out(save) -> None:
    """The champion never learnt label z: its likelihood of those rows is 0."""
    champion = save([0, 1, 2], [0, 1, 0], digest="b", known=2)
    comparison = compare(save([0, 1, 2], [0, 1, 2], digest="a"), champion, PARAMS)
    names = {d.name for d in comparison.differences}
    assert "nll" not in names
    assert {"accuracy", "brier", "ece"} <= names
