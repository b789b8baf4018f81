"""Two models on the same rows: paired, antisymmetric, refused on other rows."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest

from pipeline_steps.errors import DataError
from pipeline_steps.evaluation.compare import compare, mcnemar_p
from pipeline_steps.params import EvaluateParams

PARAMS = EvaluateParams(bootstrap_resamples=300)
TRUTH = [0, 1, 2] * 40
BETTER = [t if i % 10 else (t + 1) % 3 for i, t in enumerate(TRUTH)]
WORSE = [t if i % 3 else (t + 1) % 3 for i, t in enumerate(TRUTH)]


def difference(comparison, name: str):
    return next(d for d in comparison.differences if d.name == name)


def test_swapping_the_sides_changes_the_sign(save) -> None:
    a, b = save(TRUTH, BETTER, digest="a"), save(TRUTH, WORSE, digest="b")
    ab, ba = (
        difference(compare(a, b, PARAMS), "accuracy"),
        difference(compare(b, a, PARAMS), "accuracy"),
    )
    assert ab.difference == pytest.approx(-ba.difference)
    assert ab.ci_low == pytest.approx(-ba.ci_high)
    assert ab.ci_low > 0


def test_a_model_against_itself_differs_by_nothing(save) -> None:
    a, b = save(TRUTH, BETTER, digest="a"), save(TRUTH, BETTER, digest="b")
    comparison = compare(a, b, PARAMS)
    assert comparison.n_only_candidate_correct == comparison.n_only_champion_correct == 0
    assert difference(comparison, "accuracy").p_value == 1.0
    assert difference(comparison, "macro_f1").ci_low == 0.0


def test_the_paired_interval_is_narrower_than_an_unpaired_one_would_be(save) -> None:
    nearly = [p if i != 5 else TRUTH[5] for i, p in enumerate(BETTER)]
    paired = difference(
        compare(save(TRUTH, nearly, digest="a"), save(TRUTH, BETTER, digest="b"), PARAMS),
        "accuracy",
    )
    assert paired.ci_high - paired.ci_low < 0.05


def test_other_rows_are_refused(save) -> None:
    a, b = save(TRUTH, BETTER, digest="a"), save(TRUTH[::-1], WORSE, digest="b")
    with pytest.raises(DataError, match="are about different rows"):
        compare(a, b, PARAMS)


@pytest.mark.parametrize(("b", "c"), [(9, 1), (3, 3), (0, 7), (40, 25)])
def test_mcnemar_is_the_binomial_test_on_discordant_rows(b: int, c: int) -> None:
    assert mcnemar_p(b, c) == binomtest(b, b + c, alternative="greater").pvalue
