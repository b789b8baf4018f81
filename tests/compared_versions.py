"""A version that differs from another a little, and the paired difference between them."""

from __future__ import annotations

from pipeline_steps.comparison_types import PairedComparison, PairedDifference
from pipeline_steps.reporting.compare_report import ComparedVersion


def other_version(first: ComparedVersion) -> ComparedVersion:
    """Return a version with scores 0.02 higher, another method, and no past as champion."""
    reports = tuple(
        report.model_copy(
            update={
                "metrics": tuple(
                    m if m.value is None else m.model_copy(update={"value": m.value + 0.02})
                    for m in report.metrics
                )
            }
        )
        for report in first.reports
    )
    parameters = {**first.checkpoint.parameters, "method": "lora"}
    return first.model_copy(
        update={
            "version": first.version + 1,
            "reports": reports,
            "checkpoint": first.checkpoint.model_copy(update={"parameters": parameters}),
            "history": (),
        }
    )


def paired_difference() -> PairedComparison:
    """Return the second against the first on 100 rows of one suite."""
    difference = PairedDifference(
        name="accuracy", candidate=0.93, champion=0.91, difference=0.02, ci_low=-0.01,
        ci_high=0.05, p_value=0.2, n=100,
    )  # fmt: skip
    return PairedComparison(
        suite="test", dataset_digest="d", candidate_digest="b", champion_digest="a", n=100,
        n_only_candidate_correct=5, n_only_champion_correct=3, differences=(difference,),
    )  # fmt: skip
