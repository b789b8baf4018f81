"""Several seeds of one training: how far their scores spread, which failed, which is kept.

References
----------
Mosbach, Andriushchenko & Klakow (2021). On the stability of fine-tuning BERT: misconceptions,
explanations, and strong baselines. ICLR. Dodge et al. (2020). Fine-tuning pretrained language
models: weight initializations, data orders, and early stopping. arXiv:2002.06305.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline_steps.problem_defaults import HEADLINES
from pipeline_steps.problems.question_answering import NO_ANSWER, answers
from pipeline_steps.problems.response_selection import candidates
from pipeline_steps.training.trainer import StableTrainer
from pipeline_steps.types import Checkpoint

_ONE_LABEL_A_ROW = ("text_classification", "relation_extraction")
_ANY_LABELS = ("multi_label_classification",)


@dataclass(frozen=True)
class Run:
    """One seed: its checkpoint, or why there is none."""

    seed: int
    checkpoint: Checkpoint | None
    message: str = ""

    def best_point(self) -> Mapping[str, float] | None:
        """Return the validation scores of what was kept."""
        if self.checkpoint is None:
            return None
        training = self.checkpoint.training
        history: list[dict[str, float]] = training["history"]
        at_best = [point for point in history if point["step"] == training["best_step"]]
        return (at_best or history[-1:])[0]


def baseline_score(scorer: StableTrainer, problem: str) -> float:
    """Return what an answer that reads nothing scores in the problem's first metric.

    Where a row has one label, it is the most frequent label of the training rows; where it has any
    number, it is the labels of more than half of them. To questions that may have no answer it is
    none, among replies it is one drawn by chance. Elsewhere it is 0: no entity found, no answer
    right.
    """
    if problem == "question_answering":
        without = [not answers(target) for target in scorer.valid_examples.targets]
        return float(np.mean(without)) if NO_ANSWER in scorer.labels else 0.0
    if problem == "response_selection":
        chances = [1.0 / len(candidates(t)[0]) for t in scorer.valid_examples.targets]
        return float(np.mean(chances))
    if problem in _ANY_LABELS:
        shares = np.mean(scorer.train_rows.labels, axis=0, dtype=np.float32)
        constant = np.tile(shares - np.float32(0.5), (len(scorer.valid_rows.encoded), 1))
        return scorer.scores_of(constant)[HEADLINES[problem][0]]
    if problem not in _ONE_LABEL_A_ROW:
        return 0.0
    found = np.array([np.ravel(label)[0] for label in scorer.train_rows.labels], dtype=np.int64)
    logits = np.zeros((len(scorer.valid_rows.encoded), len(scorer.labels)), dtype=np.float32)
    logits[:, np.bincount(found).argmax()] = 1.0
    return scorer.scores_of(logits)[HEADLINES[problem][0]]


def has_failed(run: Run, metric: str, baseline: float) -> bool:
    """Return whether a run learnt nothing: it diverged, or is no better than the baseline.

    Mosbach et al. call a run failed whose accuracy is at or below that of the majority class.
    """
    point = run.best_point()
    return point is None or not point[metric] > baseline


def spread(runs: Sequence[Run], metric: str, baseline: float) -> dict[str, Any]:
    """Return the validation scores of all runs, their moments, and the share that failed."""
    points = [run.best_point() for run in runs]
    scores = [None if point is None else point[metric] for point in points]
    known = [score for score in scores if score is not None]
    failed = [run.seed for run in runs if has_failed(run, metric, baseline)]
    return {
        "metric": metric,
        "seeds": [run.seed for run in runs],
        "scores": scores,
        "mean": statistics.fmean(known),
        "std": statistics.stdev(known) if len(known) > 1 else None,
        "min": min(known),
        "max": max(known),
        "baseline": baseline,
        "failed": failed,
        "failed_rate": len(failed) / len(runs),
    }
