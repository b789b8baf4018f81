"""Two versions under attack: the paired difference against statsmodels, and replayed texts."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from attack_results import result, results

from pipeline_steps.attack_types import AttackResult
from pipeline_steps.errors import DataError
from pipeline_steps.evaluation.attacks.transfer import compare_attacked, transfer_matrix


def test_the_rows_on_which_one_version_holds_alone_are_counted_and_named() -> None:
    ours = results("unknown", "unbroken", "broken", "wrong", "unknown", "broken")
    theirs = results("broken", "wrong", "unknown", "wrong", "unknown", "broken")
    found = compare_attacked(ours, list(reversed(theirs)), 0.95)
    assert found.only_champion_broken == ("0", "1")
    assert found.only_candidate_broken == ("2",)
    assert (found.n, found.difference) == (6, pytest.approx(1 / 6))
    assert found.ci_low <= found.difference <= found.ci_high


def test_the_test_is_mcnemars_exact_one() -> None:
    from scipy.stats import binomtest

    ours = results(*["unknown"] * 9, "broken", *["unknown"] * 10)
    theirs = results(*["broken"] * 9, "unknown", *["unknown"] * 10)
    found = compare_attacked(ours, theirs, 0.95)
    assert found.p_value == pytest.approx(binomtest(9, 10, alternative="greater").pvalue)
    swapped = compare_attacked(theirs, ours, 0.95)
    assert (swapped.ci_low, swapped.ci_high) == pytest.approx((-found.ci_high, -found.ci_low))


def test_other_rows_are_refused() -> None:
    with pytest.raises(DataError, match="attacked on different rows"):
        compare_attacked(results("broken"), results("broken", "broken"), 0.95)


def test_texts_are_judged_once_by_each_version_and_found_on_themselves() -> None:
    asked: list[int] = []

    def other(texts: Sequence[AttackResult]) -> list[bool]:
        asked.append(len(texts))
        return [text.example_id != "2" for text in texts]

    found = {
        "old": results("broken", "unknown", "broken", "wrong"),
        "new": results("wrong", "broken", "unknown", "unknown"),
    }
    judges = {"old": lambda texts: [True] * len(texts), "new": other}
    cells = {(c.found_on, c.judged_on): c for c in transfer_matrix(found, judges, 0.95)}
    assert cells["old", "old"].wrong.value == 1.0
    carried = cells["old", "new"]
    assert (carried.wrong.value, carried.wrong.n) == (0.5, 2)
    assert carried.newly_wrong is not None
    assert (carried.newly_wrong.value, carried.newly_wrong.n) == (0.0, 1)
    assert asked == [2, 1]


def test_without_texts_nothing_is_asked_and_the_share_is_undefined() -> None:
    def never(texts: Sequence[AttackResult]) -> list[bool]:
        raise AssertionError(texts)

    [cell] = transfer_matrix({"old": [result(0, "unknown")]}, {"new": never}, 0.95)
    assert (cell.wrong.value, cell.wrong.n, cell.newly_wrong) == (None, 0, None)
