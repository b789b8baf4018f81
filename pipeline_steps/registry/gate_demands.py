"""What a policy asks for and nobody measured: that is no evidence for a candidate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pipeline_steps.comparison_types import PairedComparison
from pipeline_steps.errors import counted
from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.gate_types import GateCheck, SeedNoise
from pipeline_steps.judging_params import GateParams
from pipeline_steps.registry.gate_axes import clean_suite
from pipeline_steps.registry.gate_tests import GAIN


def unmeasured_slices(
    reports: Sequence[EvaluationReport],
    comparisons: Sequence[PairedComparison],
    policy: GateParams,
) -> Iterator[str]:
    """Yield what is to do where slices have a margin and those of the clean rows were not asked.

    Without a margin a slice refuses only where harm is shown, so that none need be there.
    """
    clean = clean_suite(reports)
    compared = next((c for c in comparisons if clean and c.suite == clean.suite), None)
    if policy.slice_margin is None or compared is None:
        return
    if not any(part.n >= policy.min_slice_rows for part in compared.slices):
        yield (
            f"{compared.suite}: no slice of {counted(policy.min_slice_rows, 'row')} or more was "
            "compared, and the policy has a margin for slices: name other columns in "
            "evaluate.slice_columns, or set gate.slice_margin to null"
        )


def left_out_checks(
    comparisons: Sequence[PairedComparison], policy: GateParams
) -> Iterator[GateCheck]:
    """Yield, of each suite, which slices nobody compared; under a margin that is a doubt."""
    for comparison in comparisons:
        for some in comparison.left_out:
            if some.n >= policy.min_slice_rows:
                yield GateCheck(
                    name=f"slices {comparison.suite}",
                    candidate=None,
                    passed=policy.slice_margin is None,
                    reason=f"{comparison.suite}: {counted(some.n_values, 'value')} of "
                    f"{some.column}, the largest with {some.n} rows, were not compared: raise "
                    "evaluate.max_slices",
                )


def unmeasured_noise(
    gains: Sequence[GateCheck], noise: Mapping[str, SeedNoise], policy: GateParams
) -> dict[str, str]:
    """Return, of each axis with a gain that is to exceed that of another seed, what is unknown."""
    if not policy.beyond_seeds:
        return {}
    shown = [c.name.removeprefix(GAIN) for c in gains if c.corrected is not None]
    return {
        axis: f"{axis}: what another seed brings was not measured, and the policy asks for more "
        "than that (gate.beyond_seeds): measure it with holdfast reseed, or, for the first metric "
        "of the test set, train with finetune.n_runs of 2 or more; or set it to false"
        for axis in shown
        if axis not in noise
    }
