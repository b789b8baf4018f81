"""One window of traffic beside the reference: a report, and the detector a window further on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import stats

from pipeline_steps.drift_types import (
    DriftReport,
    DriftScore,
    EstimatedHarm,
    Explanation,
    WindowStatus,
)
from pipeline_steps.errors import counted
from pipeline_steps.monitoring.cells import cell_of, moved_cells
from pipeline_steps.monitoring.e_detector import EDetector, comparable_scores
from pipeline_steps.monitoring.harm import estimate_harm
from pipeline_steps.monitoring.monitored_rows import MonitoredRows, Seen, uniforms
from pipeline_steps.monitoring.reference import Reference
from pipeline_steps.monitoring.scores import score_rows
from pipeline_steps.monitoring.words import moved_words
from pipeline_steps.types import Value

Array = np.ndarray[Any, Any]
DETECTOR, ANCHOR = "conformal e-detector", "two-sample Kolmogorov-Smirnov, training anchor"
_ANCHOR_LEVEL = 0.001
_MOSTLY = 0.5
_NAMED = 5
_HOURS = {"hour": 24, "hour_of_week": 168}
_LACK = "of the window's rows lack it"


class WindowPolicy(Value):
    """How windows are compared.

    ``threshold``: expected rows to a false alarm, at the least; ``least_rows``: rows of a window
    that can be called free of drift; ``bag_rows``: see :class:`EDetector`; ``explain``: which
    windows are told what moved in them; ``strata``: what rows are compared within, as
    ``monitored_rows`` takes it.
    """

    model_name: str
    version: int
    threshold: float
    least_rows: int = 20
    bag_rows: int = 100_000
    explain: Literal["alarms", "always"] = "alarms"
    strata: Literal["none", "segment", "hour", "hour_of_week"] = "none"
    seed: int = 0


@dataclass
class Watch:
    """What goes from window to window; ``compared``: rows of the last one, without repeats."""

    detector: EDetector
    seen: Seen
    compared: MonitoredRows | None = None


def start_watch(anchor: Reference, policy: WindowPolicy) -> Watch:
    """Return a watch that has seen nothing but the anchor."""
    kept, _ = comparable_scores(anchor.meta.names, anchor.scores)
    detector = EDetector.on(
        tuple(anchor.meta.names[k] for k in kept),
        anchor.scores[:, kept],
        policy.threshold,
        strata=anchor.strata_names,
        cap=policy.bag_rows,
    )
    return Watch(detector, Seen())


def judge_window(
    rows: MonitoredRows, watch: Watch, anchor: Reference, training: Reference, policy: WindowPolicy
) -> DriftReport:
    """Return the report of a window; the watch goes on by its rows.

    Parameters
    ----------
    rows : MonitoredRows
        At least one, in the order of the log.
    watch : Watch
        Changed in place.
    anchor, training : Reference
        What the detector compares with, and the anchor that never slides; often the same.
    """
    compared = watch.compared = rows.take(watch.seen.first_of_their_kind(rows))
    thin = _thin_strata(compared, _known_rows(watch.detector, anchor, policy), policy)
    scores = score_rows(compared.rows, anchor.frozen)
    path = _observe(watch.detector, compared, scores, anchor, policy)
    over = np.flatnonzero(path >= policy.threshold)
    findings = _score_findings(watch.detector, scores, anchor, policy)
    findings += _anchor_findings(scores, anchor, training)
    status, notes = _status(len(over) > 0, compared, findings, thin, policy)
    told = policy.explain == "always" or status == "drift"
    return DriftReport(
        model_name=policy.model_name,
        version=policy.version,
        reference_digest=anchor.digest,
        current_digest=rows.digest,
        first_sequence=rows.sequences[0],
        last_sequence=rows.sequences[-1],
        n_read=len(rows),
        n_compared=len(compared),
        status=status,
        evidence=watch.detector.evidence,
        peak=float(path.max()) if len(path) else watch.detector.evidence,
        threshold=policy.threshold,
        alarm_sequence=compared.sequences[int(over[0])] if len(over) else None,
        scores=tuple(findings),
        explanation=explain(compared, anchor) if told else None,
        estimated_harm=_harm(rows, training),
        notes=tuple(notes),
    )


def explain(rows: MonitoredRows, anchor: Reference) -> Explanation:
    """Return what moved between the anchor and rows."""
    if not len(rows):
        return Explanation(n=0)
    vectors = anchor.vectors(rows.rows)
    clusters = moved_cells(anchor.cells, cell_of(anchor.cells, vectors), vectors, rows.rows.texts)
    words = moved_words(anchor.meta.word_counts, int(anchor.cells.counts.sum()), rows.rows.texts)
    return Explanation(n=len(rows), words=words, clusters=clusters)


def _observe(
    detector: EDetector,
    compared: MonitoredRows,
    scores: Array,
    anchor: Reference,
    policy: WindowPolicy,
) -> Array:
    kept = [anchor.meta.names.index(name) for name in detector.names]
    u = uniforms(compared.ids, len(anchor.meta.names), policy.seed)[:, kept]
    strata, n = np.array(compared.strata, dtype=str), _HOURS.get(policy.strata, 1)
    return detector.observe(scores[:, kept], u, strata, n_strata=n)


def _score_findings(
    detector: EDetector, scores: Array, anchor: Reference, policy: WindowPolicy
) -> list[DriftScore]:
    """Return the detector's mean over all scores, then its wealth on each, or why it has none."""
    _, reasons = comparable_scores(anchor.meta.names, anchor.scores)
    found = []
    if detector.names:
        found.append(_finding("all", detector.evidence, policy.threshold))
    by_score = detector.evidence_by_score()
    for k, name in enumerate(anchor.meta.names):
        missing = float(np.isnan(scores[:, k]).mean()) if len(scores) else 0.0
        if name in by_score and missing <= _MOSTLY:
            found.append(_finding(name, by_score[name], policy.threshold))
        else:
            reason = reasons.get(name, f"{missing:.0%} {_LACK}")
            found.append(DriftScore(name=name, method=DETECTOR, reason=reason))
    return found


def _finding(name: str, wealth: float, threshold: float) -> DriftScore:
    return DriftScore(
        name=name,
        method=DETECTOR,
        score=wealth,
        threshold=threshold,
        drifted=wealth >= threshold,
    )


def _anchor_findings(scores: Array, anchor: Reference, training: Reference) -> list[DriftScore]:
    """Return how far an accepted window's successors are from the training anchor, for the record.

    A chain of accepted windows may lead far from what the model was trained on.
    """
    if anchor.meta.anchor == "training" or not len(scores):
        return []
    found = []
    for k, name in enumerate(training.meta.names):
        before, now = training.scores[:, k], scores[:, k]
        before, now = before[~np.isnan(before)], now[~np.isnan(now)]
        if len(before) and len(now):
            found.append(_ks(name, before, now, len(training.meta.names)))
    return found


def _ks(name: str, before: Array, now: Array, n_scores: int) -> DriftScore:
    test = stats.ks_2samp(before, now, method="asymp")
    effective = len(before) * len(now) / (len(before) + len(now))
    critical = float(stats.kstwobign.isf(_ANCHOR_LEVEL / n_scores) / np.sqrt(effective))
    distance = float(test.statistic)
    return DriftScore(
        name=name, method=ANCHOR, score=distance, threshold=critical, drifted=distance > critical
    )


def _known_rows(detector: EDetector, anchor: Reference, policy: WindowPolicy) -> Mapping[str, int]:
    """Return how many rows each stratum has to be compared with.

    Those of the reference; of an hour, which no reference has, those of the traffic so far.
    """
    if policy.strata in _HOURS:
        return detector.bag_sizes()
    return Counter(anchor.strata_names.tolist())


def _thin_strata(
    compared: MonitoredRows, known: Mapping[str, int], policy: WindowPolicy
) -> dict[str, int]:
    """Return the strata that have too few rows to compare with, and their rows in the window."""
    found = Counter(compared.strata)
    return {name: n for name, n in found.most_common() if known.get(name, 0) < policy.least_rows}


def _status(
    alarmed: bool,
    compared: MonitoredRows,
    findings: list[DriftScore],
    thin: dict[str, int],
    policy: WindowPolicy,
) -> tuple[WindowStatus, list[str]]:
    """Return the window's status and what a reader must know: never silently "no drift"."""
    notes = [_thin_note(thin, policy)] if thin else []
    if alarmed:
        return "drift", notes
    if not any(f.method == DETECTOR and f.drifted is not None for f in findings):
        return "not_testable", ["no score could be compared with the reference"]
    lost = [f"{f.name}: {f.reason}" for f in findings if f.reason and f.reason.endswith(_LACK)]
    if lost:
        return "not_testable", lost
    if len(compared) < policy.least_rows:
        few = f"{len(compared)} rows without repeats, {policy.least_rows} are needed to be free"
        return "not_testable", [f"{few} of drift; they count as evidence all the same"]
    if sum(thin.values()) > _MOSTLY * len(compared):
        return "not_testable", notes
    return "no_drift", notes


def _thin_note(thin: dict[str, int], policy: WindowPolicy) -> str:
    names = [f"{name or 'without a name'} ({counted(n, 'row')})" for name, n in thin.items()]
    where = policy.strata.replace("_", " ")
    shown = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
    return f"fewer than {policy.least_rows} rows to compare with in the {where} {shown}"


def _harm(rows: MonitoredRows, training: Reference) -> EstimatedHarm:
    """Return the guess over all rows of the window, repeats too: they are answered as well."""
    known = training.meta.harm
    predicted = rows.rows.predicted if known.labels else None
    return estimate_harm(known, rows.rows.confidence, rows.rows.probabilities, predicted)
