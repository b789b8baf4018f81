"""The gate: a pure function of reports, comparisons, policy and earlier looks that fails closed.

It asks, in this order: are the pieces all there and about the same rows; does every floor hold;
is the candidate nowhere worse than its margin allows (non-inferiority) or dearer than it may be;
is it better where the policy asks for it (superiority). Without a champion the floors decide.

Non-inferiority is read off the two-sided interval of the paired difference: at 95 % each axis is
a one-sided test at 2.5 %. Every axis must pass, so no correction is needed there. Each gain that
is called shown is so over all axes of superiority together (Holm 1979), at what the account of
the evaluation set still allows (:mod:`pipeline_steps.registry.alpha_account`).
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from pipeline_steps.comparison_types import CostComparison, PairedComparison
from pipeline_steps.digests import value_digest
from pipeline_steps.errors import counted
from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.gate_types import (
    GateCheck,
    GateDecision,
    Look,
    SeedNoise,
    ShadowEvidence,
    Verdict,
)
from pipeline_steps.judging_params import GateParams
from pipeline_steps.registry.alpha_account import Account, account
from pipeline_steps.registry.gate_axes import gain_axes
from pipeline_steps.registry.gate_bounds import ceilings, floor_check
from pipeline_steps.registry.gate_demands import (
    left_out_checks,
    unmeasured_noise,
    unmeasured_slices,
)
from pipeline_steps.registry.gate_integrity import integrity_check
from pipeline_steps.registry.gate_resolution import unresolved_gains, unresolved_harm
from pipeline_steps.registry.gate_tests import gains, harms, rows_for_gains, shown_worse
from pipeline_steps.registry.gate_weighing import Found, weigh, weigh_first
from pipeline_steps.types import Value


class Beside(Value):
    """What the gate weighs beside reports and comparisons.

    ``looks``: what the evaluation sets have decided before, oldest first; ``costs``: of candidate
    and champion, where the policy bounds them; ``noise``: what another seed brings, by axis.
    ``shadow``: what labelled traffic said of both, which is one more suite; ``shared``: of the
    rows of an evaluation set, by digest, the share that each earlier set has; ``evaluate_digest``:
    of the parameters of intervals and tests.
    """

    looks: tuple[Look, ...] = ()
    shadow: ShadowEvidence | None = None
    shared: dict[str, dict[str, float]] = Field(default={})
    costs: CostComparison | None = None
    noise: tuple[SeedNoise, ...] = ()
    evaluate_digest: str = ""


def gate(
    reports: Sequence[EvaluationReport],
    comparisons: Sequence[PairedComparison] | None,
    policy: GateParams,
    beside: Beside | None = None,
) -> GateDecision:
    """Return the verdict on a candidate.

    Parameters
    ----------
    reports : sequence of EvaluationReport
        The candidate's reports, one a suite.
    comparisons : sequence of PairedComparison or None
        Candidate against champion, one a suite; ``None``: there is no champion yet, and floors
        alone decide (a policy without floors refuses a first version).
    policy : GateParams
        Floors, margins, ceilings and the level of the tests.
    beside : Beside, optional
        Earlier looks at the evaluation sets, costs, spread over seeds; by default none.

    Returns
    -------
    GateDecision
        REJECT if a piece is missing or contradicts another, a floor or ceiling is not kept, or the
        candidate is shown to be worse; HOLD if candidate and champion are the same checkpoint, or
        no gain is shown; INCONCLUSIVE if there are too few rows, or random swaps, to tell;
        PROMOTE otherwise.

    Notes
    -----
    A suite is required if the policy names it, a report or a comparison is about it. A check of
    ``floors`` carries the interval of the metric, the others that of the difference.
    """
    beside = beside or Beside()
    integrity = integrity_check(reports, comparisons, policy, beside.costs)
    floors = [floor_check(reports, axis, floor, policy) for axis, floor in policy.floors.items()]
    checks, found = [integrity, *floors], Found()
    if not integrity.passed:
        verdict, reasons = Verdict.REJECT, [c.reason for c in checks if not c.passed]
    elif comparisons is None:
        verdict, reasons = weigh_first(reports, floors, policy)
    elif comparisons[0].candidate_digest == comparisons[0].champion_digest:
        verdict, reasons = Verdict.HOLD, ["candidate and champion are the same checkpoint"]
    else:
        found = _compared(reports, comparisons, policy, beside)
        bounds = ceilings(reports, comparisons, beside.costs, policy)
        checks += [*bounds, *found.checks]
        verdict, reasons = weigh(found, [*floors, *bounds], reports, comparisons, policy)
    return GateDecision(
        verdict=verdict,
        reasons=tuple(reasons),
        checks=tuple(checks),
        candidate_digest=reports[0].checkpoint_digest if reports else "",
        champion_digest=comparisons[0].champion_digest if comparisons else None,
        policy_digest=policy_digest(policy),
        datasets={report.suite: report.dataset_digest for report in reports},
        predictions=_predictions(reports, comparisons or ()),
        evaluate_digest=beside.evaluate_digest,
        alpha=found.alpha,
        spent=found.spent,
    )


def policy_digest(policy: GateParams) -> str:
    """Return the digest of everything that a policy says, whatever it is called."""
    return value_digest(policy.model_dump(mode="json", exclude={"policy"}))


def _compared(
    reports: Sequence[EvaluationReport],
    comparisons: Sequence[PairedComparison],
    policy: GateParams,
    beside: Beside,
) -> Found:
    axes = gain_axes(comparisons, policy)
    accounts = _accounts(comparisons, axes, policy, beside)
    alpha = min((one.alpha for _, _, one in accounts), default=None)
    noise = {one.axis: one for one in sorted(beside.noise, key=lambda one: one.std)}  # the largest
    tests = harms(reports, comparisons, policy)
    gained = gains(comparisons, axes, policy, alpha or 0.0, noise)
    blurred = unresolved_gains(comparisons, axes, alpha or 0.0)
    slices = unmeasured_slices(reports, comparisons, policy)
    left_out = tuple(left_out_checks(comparisons, policy))
    return Found(
        harms=tests,
        worse=frozenset(shown_worse(tests, policy)),
        gains=gained,
        alpha=alpha,
        accounts=accounts,
        wear=tuple(_wear(*one) for one in accounts),
        left_out=left_out,
        doubts=(
            *unresolved_harm(tests, policy),
            *slices,
            *(check.reason for check in left_out if not check.passed),
        ),
        hints=rows_for_gains(comparisons, gained, alpha or 0.0),
        open_gains=blurred | unmeasured_noise(gained, noise, policy),
    )


def _accounts(
    comparisons: Sequence[PairedComparison],
    axes: Sequence[str],
    policy: GateParams,
    beside: Beside,
) -> tuple[tuple[str, str, Account], ...]:
    """Return suite, digest and account of each evaluation set that a gain is tested on."""
    suites = {axis.rpartition("/")[0] for axis in axes}
    found = {}
    for c in comparisons:
        if c.suite in suites and c.dataset_digest not in found:
            look = Look(
                dataset_digest=c.dataset_digest,
                candidate_digest=c.candidate_digest,
                champion_digest=c.champion_digest,
                policy_digest=policy_digest(policy),
                evaluate_digest=beside.evaluate_digest,
                promoted=False,
                spent=0.0,
            )
            shares = beside.shared.get(c.dataset_digest)
            one = account(beside.looks, look, policy.alpha, policy.looks, shares)
            found[c.dataset_digest] = (c.suite, c.dataset_digest, one)
    return tuple(found.values())


def _wear(suite: str, _: str, one: Account) -> GateCheck:
    """Return how worn an evaluation set is; it asks for fresh rows before none are left."""
    reason = f"{suite}: look {one.look} of {one.looks}; gains are tested at {one.alpha:.2g}"
    if one.inherited:
        reason += f"; {one.inherited:.1f} looks came with rows of earlier evaluation sets"
    if one.look > one.looks:
        reason = (
            f"{suite} has decided {counted(one.look - 1, 'time')}, the policy plans {one.looks} "
            "(gate.looks): no gain can be shown on it any more; give it fresh rows"
        )
    elif one.wear > 0.8:  # noqa: PLR2004 - the last fifth
        reason += "; give it fresh rows soon"
    return GateCheck(
        name=f"wear {suite}",
        candidate=float(one.look),
        margin=float(one.looks),
        passed=one.look <= one.looks,
        reason=reason,
    )


def _predictions(
    reports: Sequence[EvaluationReport], comparisons: Sequence[PairedComparison]
) -> dict[str, str]:
    """Return the digest of every predictions file that the verdict rests on."""
    ours = {f"candidate/{report.suite}": report.predictions_digest for report in reports}
    theirs = {f"champion/{c.suite}": c.champion_predictions for c in comparisons}
    return {name: digest for name, digest in {**ours, **theirs}.items() if digest}
