"""Structured answers (tags, spans) as scored rows: what each adds to the sums behind a metric."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline_steps.evaluation.metrics import calibration_bins, expected_calibration_error
from pipeline_steps.evaluation.outcomes import refuse_unusable
from pipeline_steps.evaluation.weighted_metrics import sums_within
from pipeline_steps.predictions_file import StructuredTable
from pipeline_steps.problem_defaults import HEADLINES
from pipeline_steps.problems.problem import StructuredProblem
from pipeline_steps.problems.statistics import Statistics

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class AnsweredRows:
    """What a checkpoint answered to each of n rows, and what that counts for."""

    problem: StructuredProblem
    truth: Array  # (n,) JSON
    predicted: Array  # (n,) JSON
    statistics: Statistics
    confidence: Array  # (n,)
    bins: Array  # (n,)
    n_bins: int
    has_confidence = True

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def directions(self) -> Mapping[str, bool]:
        """Whether greater is better: of the calibration error, and what else is a loss, not."""
        names = self.statistics.metrics(np.ones((1, 1)) @ self.statistics.counts[:1], np.ones(1))
        lower = self.statistics.lower_is_better
        return {**{name: name not in lower for name in (*names, *self.shares)}, "ece": False}

    @property
    def headlines(self) -> tuple[str, ...]:
        """The metrics that are shown first."""
        return HEADLINES[self.problem.name]

    @property
    def shares(self) -> tuple[str, ...]:
        """Metrics that are the share of rows answered exactly."""
        return self.statistics.shares

    @property
    def averages(self) -> tuple[str, ...]:
        """Metrics that are as uncertain as a share where every row is right, or none."""
        return self.statistics.averages

    @property
    def correct(self) -> Array:
        """Whether each row was answered exactly, (n,) bool."""
        return self.statistics.correct

    def take(self, rows: Array) -> AnsweredRows:
        """Return some of the rows (indices or mask)."""
        some = replace(
            self.statistics,
            counts=self.statistics.counts[rows],
            correct=self.statistics.correct[rows],
        )
        return replace(
            self,
            truth=self.truth[rows],
            predicted=self.predicted[rows],
            statistics=some,
            confidence=self.confidence[rows],
            bins=self.bins[rows],
        )

    def weighted(self, weights: Array) -> dict[str, Array]:
        """Return every metric for each row of ``weights`` (n_weightings, n)."""
        total = weights.sum(axis=1)
        gaps = sums_within(weights * (self.correct - self.confidence), self.bins, self.n_bins)
        return {
            **self.statistics.metrics(weights @ self.statistics.counts, total),
            **dict.fromkeys(self.shares, weights @ self.correct / total),
            "ece": expected_calibration_error(gaps, total),
        }

    def followed_by(self, others: AnsweredRows) -> AnsweredRows:
        """Return these rows and, behind them, those of another checkpoint, counted alike."""
        return answered_rows(
            self.problem,
            np.concatenate([self.truth, others.truth]),
            np.concatenate([self.predicted, others.predicted]),
            np.concatenate([self.confidence, others.confidence]),
            self.n_bins,
        )

    def answers_like(self, others: AnsweredRows) -> bool:
        """Return whether another checkpoint gave the same answer to every row."""
        return np.array_equal(self.predicted, others.predicted)


def answered_rows(
    problem: StructuredProblem, truth: Array, predicted: Array, confidence: Array, n_bins: int
) -> AnsweredRows:
    """Return answers with what they count for."""
    return AnsweredRows(
        problem=problem,
        truth=truth,
        predicted=predicted,
        statistics=problem.statistics(truth.tolist(), predicted.tolist()),
        confidence=confidence,
        bins=calibration_bins(confidence, n_bins),
        n_bins=n_bins,
    )


def rows_of_answers(
    table: StructuredTable, problem: StructuredProblem, n_bins: int
) -> AnsweredRows:
    """Return the answers in a table, row by row.

    Raises
    ------
    DataError
        If the table is empty, holds a row twice or a score that is not finite.
    """
    refuse_unusable(table, table.score[:, None])
    return answered_rows(problem, table.truth, table.predicted, table.score, n_bins)
