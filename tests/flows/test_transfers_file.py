"""What each version's texts do to the other is asked once, and read again only as the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from attack_results import result, results

from flows.arena import results_path
from flows.under_attack import Opponent
from pipeline_steps.attack_types import AttackCost, AttackResult, Transfer
from pipeline_steps.evaluation.attacks.results_file import AboutAttack, write_results

SUITE = "deepwordbug"


class Side(SimpleNamespace):
    """One version, whose model finds every text wrong and counts how often it is asked."""

    def __init__(self, root: Path, digest: str) -> None:
        super().__init__(root=root, asked=0, checkpoint=SimpleNamespace(digest=digest), arena=self)

    def path(self, recipe: str, variant: str) -> Path:
        return self.root / f"{self.checkpoint.digest}-{recipe}{variant}.parquet"

    def breaks(self, recipe: str, texts: Sequence[AttackResult]) -> list[bool]:
        self.asked += 1
        return [True for _ in texts]


def told(
    root: Path, own: Side, ours: Sequence[AttackResult], *, name: str = "champion"
) -> tuple[Transfer, ...]:
    """Return the transfers beside another version with one broken row."""
    file = root / "theirs.parquet"
    write_results(
        results_path(file), results("broken", "unknown"), AboutAttack(cost=AttackCost(n_queries=1))
    )
    suite: Any = SimpleNamespace(suite=SUITE, path=file)
    theirs: Any = Side(root, "other")
    mine: Any = own
    return Opponent(name, theirs, [suite], mine).against(SUITE, ours, 0.95).transfers


def test_transfers_are_asked_once_for_the_same_texts(tmp_path: Path) -> None:
    own = Side(tmp_path, "own")
    first, asked = told(tmp_path, own, results("broken", "broken")), own.asked
    assert asked > 0
    assert told(tmp_path, own, results("broken", "broken")) == first
    assert own.asked == asked


def test_transfers_carry_the_name_under_which_they_are_shown(tmp_path: Path) -> None:
    own = Side(tmp_path, "own")
    for name in ("champion", "version 1"):
        found = told(tmp_path, own, results("broken", "broken"), name=name)
        assert {name} == {n for t in found for n in (t.found_on, t.judged_on)} - {"candidate"}


def test_other_texts_are_judged_anew(tmp_path: Path) -> None:
    """As after an attack that stopped early, or one with more seeds."""
    own = Side(tmp_path, "own")
    told(tmp_path, own, results("broken", "broken"))
    (mine, _) = told(tmp_path, own, [result(0, "broken"), result(1, "unknown")])
    assert (mine.found_on, mine.wrong.n) == ("candidate", 1)
