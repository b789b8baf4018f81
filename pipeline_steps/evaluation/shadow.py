"""What a window of traffic says of two checkpoints, once their disagreements have labels.

Where both give the same answer, neither gains on the other whatever is right. So labels of the
rows on which they differ are enough for the difference over the whole window, and for its exact
test (McNemar 1947): ``better_answers`` is the share of all rows on which this one answers better
than the other, and the difference of the two shares is that in accuracy, where an answer is
right or wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline_steps.comparison_types import PairedComparison, PairedDifference
from pipeline_steps.evaluation.intervals import tango_interval, wilson_interval
from pipeline_steps.evaluation.paired_tests import mcnemar_p
from pipeline_steps.evaluation_types import EvaluationReport, MetricValue
from pipeline_steps.gate_types import ShadowEvidence

SUITE, METRIC = "shadow", "better_answers"


def weigh_losses(candidate: Sequence[float], champion: Sequence[float]) -> tuple[int, int]:
    """Return on how many rows the candidate lost less, and on how many the champion did."""
    pairs = list(zip(candidate, champion, strict=True))
    return sum(a < b for a, b in pairs), sum(b < a for a, b in pairs)


def with_shadow(
    reports: Sequence[EvaluationReport],
    comparisons: Sequence[PairedComparison] | None,
    found: ShadowEvidence | None,
) -> tuple[Sequence[EvaluationReport], Sequence[PairedComparison] | None]:
    """Return reports and comparisons with those of a window of traffic, where there is one."""
    if found is None or not comparisons:
        return reports, comparisons
    confidence = comparisons[0].confidence
    report, comparison = _report(found, confidence), _comparison(found, confidence)
    return [*reports, report], [*comparisons, comparison]


def _report(found: ShadowEvidence, confidence: float) -> EvaluationReport:
    low, high = wilson_interval(found.n_candidate_better, found.n, confidence)
    value = found.n_candidate_better / found.n
    metric = MetricValue(name=METRIC, value=value, n=found.n, ci_low=low, ci_high=high)
    return EvaluationReport(
        checkpoint_digest=found.candidate_digest,
        dataset_digest=found.window_digest,
        predictions_digest="",
        suite=SUITE,
        kind="shift",
        n=found.n,
        metrics=(metric,),
        headlines=(METRIC,),
    )


def _comparison(found: ShadowEvidence, confidence: float) -> PairedComparison:
    return PairedComparison(
        suite=SUITE,
        dataset_digest=found.window_digest,
        candidate_digest=found.candidate_digest,
        champion_digest=found.champion_digest,
        n=found.n,
        n_only_candidate_correct=found.n_candidate_better,
        n_only_champion_correct=found.n_champion_better,
        differences=(_difference(found, confidence),),
        headline=METRIC,
        confidence=confidence,
    )


def _difference(found: ShadowEvidence, confidence: float) -> PairedDifference:
    wins, losses, n = found.n_candidate_better, found.n_champion_better, found.n
    low, high = tango_interval(wins, losses, n, confidence)
    return PairedDifference(
        name=METRIC,
        candidate=wins / n,
        champion=losses / n,
        difference=wins / n - losses / n,
        ci_low=low,
        ci_high=high,
        p_value=mcnemar_p(wins, losses),
        n=n,
        p_worse=mcnemar_p(losses, wins),
    )
