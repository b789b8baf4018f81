"""From what was found to a verdict: harm before doubt, doubt before a gain that is not shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline_steps.comparison_types import PairedComparison
from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.gate_types import GateCheck, Verdict
from pipeline_steps.judging_params import GateParams
from pipeline_steps.registry.alpha_account import Account
from pipeline_steps.registry.gate_axes import may_be_unsure
from pipeline_steps.registry.gate_bounds import LATENCY
from pipeline_steps.registry.gate_tests import GAIN, Harm

Weighed = tuple[Verdict, list[str]]


@dataclass(frozen=True)
class Found:
    """What the comparisons say: harm, gains, and the accounts of the sets that gains rest on.

    ``doubts``: what the policy asks and nobody measured, or measured too coarsely to tell;
    ``open_gains``: axes where that is so of the gain, with what to do; ``hints``: how many rows
    would show it.
    """

    harms: Sequence[Harm] = ()
    worse: frozenset[str] = frozenset()
    gains: Sequence[GateCheck] = ()
    alpha: float | None = None
    accounts: tuple[tuple[str, str, Account], ...] = ()
    wear: tuple[GateCheck, ...] = ()
    left_out: tuple[GateCheck, ...] = ()
    doubts: tuple[str, ...] = ()
    open_gains: Mapping[str, str] = field(default_factory=dict)
    hints: Mapping[str, str] = field(default_factory=dict)

    @property
    def spent(self) -> dict[str, float]:
        """What this look takes from the account of each evaluation set."""
        return {digest: self.alpha or 0.0 for _, digest, _ in self.accounts}

    @property
    def checks(self) -> list[GateCheck]:
        """All questions that were asked, in their order."""
        tested = [test.check(worse=test.axis in self.worse) for test in self.harms]
        return [*tested, *self.left_out, *self.gains, *self.wear]


def weigh_first(
    reports: Sequence[EvaluationReport], floors: Sequence[GateCheck], policy: GateParams
) -> Weighed:
    """Return the verdict on a first version, which floors alone decide about."""
    broken, open_ = _bounds(reports, floors, policy)
    if broken:
        return Verdict.REJECT, [*broken, *open_]
    if open_:
        return Verdict.INCONCLUSIVE, open_
    if policy.first_version == "refuse":
        return Verdict.HOLD, [
            "first version: the policy leaves the first champion to a person (gate.first_version)"
        ]
    return Verdict.PROMOTE, ["first version: every floor is reached"]


def weigh(
    found: Found,
    bounds: Sequence[GateCheck],
    reports: Sequence[EvaluationReport],
    comparisons: Sequence[PairedComparison],
    policy: GateParams,
) -> Weighed:
    """Return the verdict on a candidate beside a champion.

    What is shown to be worse refuses, however much is in doubt elsewhere.
    """
    broken, open_ = _bounds(reports, bounds, policy)
    worse = [t.check(worse=True).reason for t in found.harms if t.axis in found.worse]
    if broken or worse:
        return Verdict.REJECT, [*broken, *worse, *open_]
    doubts = [*open_, *_unsure(found, comparisons, policy), *found.doubts]
    if doubts:
        return Verdict.INCONCLUSIVE, doubts
    return _weigh_gains(found)


def _weigh_gains(found: Found) -> Weighed:
    missing = {c.name.removeprefix(GAIN): c.reason for c in found.gains if not c.passed}
    reasons = [*missing.values()]
    if not missing:
        gained = [check.reason for check in found.gains]
        return Verdict.PROMOTE, gained or ["not worse anywhere, and the policy asks for no gain"]
    todo = [found.open_gains[axis] for axis in missing if axis in found.open_gains]
    if len(todo) == len(missing):
        return Verdict.INCONCLUSIVE, reasons + todo
    hints = [found.hints[axis] for axis in missing if axis in found.hints]
    worn = [check.reason for check in found.wear if not check.passed]
    return Verdict.HOLD, reasons + hints + worn


def _unsure(found: Found, comparisons: Sequence[PairedComparison], policy: GateParams) -> list[str]:
    """Return on which axes and suites there are too few rows to rule harm out."""
    unsure = [test for test in found.harms if test.must_pass and not test.passed]
    few = [c for c in comparisons if _few(c.n, policy) and not may_be_unsure(c.suite, policy)]
    words = f"has fewer rows than the policy asks for ({policy.min_rows})"
    return [
        *(t.check(worse=False).reason for t in unsure),
        *(t.rows_wanted() for t in unsure),
        *(f"{c.suite} {words}: {c.n}" for c in few),
    ]


def _bounds(
    reports: Sequence[EvaluationReport], bounds: Sequence[GateCheck], policy: GateParams
) -> tuple[list[str], list[str]]:
    """Return which bounds are broken, and which cannot be told to be kept."""
    failed = [check for check in bounds if not check.passed]
    small = {
        f"floor {r.suite}/{m.name}" for r in reports for m in r.every_metric if _few(m.n, policy)
    }
    open_ = [c for c in failed if c.name in small or _may_be_kept(c)]
    return [c.reason for c in failed if c not in open_], [c.reason for c in open_]


def _may_be_kept(check: GateCheck) -> bool:
    """Return whether the interval of a latency holds the ceiling."""
    if check.name != LATENCY or check.ci_low is None or check.margin is None:
        return False
    return check.ci_low <= check.margin


def _few(n: int, policy: GateParams) -> bool:
    return n < policy.min_rows
