"""Our paired test beside that of statsmodels."""

from __future__ import annotations

import warnings

import pytest

from pipeline_steps.evaluation.paired_tests import mcnemar_p

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its import warns of what is not ours
    contingency = pytest.importorskip("statsmodels.stats.contingency_tables")

TABLES = [(9, 1, 100), (3, 3, 50), (0, 7, 60), (40, 25, 1000), (12, 2, 50)]


@pytest.mark.parametrize(("wins", "losses", "n"), TABLES)
def test_twice_the_smaller_one_sided_p_is_the_two_sided_exact_test(wins, losses, n) -> None:
    table = [[n - wins - losses, wins], [losses, 0]]
    theirs = contingency.mcnemar(table, exact=True).pvalue
    ours = min(1.0, 2 * min(mcnemar_p(wins, losses), mcnemar_p(losses, wins)))
    assert ours == pytest.approx(theirs)
