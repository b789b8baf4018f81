"""Which behavioural tests a model fails, how often, and on what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline_steps.errors import DataError
from pipeline_steps.evaluation.behaviour.cases import SUITE, Case, questions_of, texts_of
from pipeline_steps.evaluation.behaviour.declared import BehaviourFile, DeclaredTest
from pipeline_steps.evaluation.behaviour.said import Said
from pipeline_steps.evaluation.behaviour.watched import direction
from pipeline_steps.evaluation.intervals import wilson_interval
from pipeline_steps.evaluation.metrics import softmax
from pipeline_steps.evaluation_types import (
    BehaviourFailure,
    BehaviourResult,
    EvaluationReport,
    MetricValue,
)
from pipeline_steps.predictions_file import PredictionTable, read_predictions
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.types import Predictions

Array = np.ndarray[Any, Any]
Predict = Callable[[Sequence[str]], Array]
_SHOWN = 10
_CLASSES = "text_classification"


@dataclass(frozen=True)
class Answers:
    """What a model says of each text: probabilities (n_labels,), summing to 1."""

    labels: tuple[str, ...]
    by_text: dict[str, Array]

    def label(self, text: str) -> str:
        """Return the most likely label; the first of equals."""
        return self.labels[int(self.by_text[text].argmax())]

    def of(self, text: str, label: str) -> float:
        """Return the probability of a label; of one that the model does not know it is 0."""
        if label not in self.labels:
            return 0.0
        return float(self.by_text[text][self.labels.index(label)])

    def verdict(self, test: DeclaredTest, case: Case) -> tuple[str | None, str]:
        """Return what was expected and what came; ``None`` for what was met."""
        got = self.label(case.text)
        if case.original is None:
            return (None if got == test.label else test.label), got
        before = self.label(case.original.text)
        if test.must_not is None:
            return (None if got == before else before), got
        then, now = (self._watched(test, q.text) for q in (case.original, case.question))
        return direction(test, _CLASSES, then, now)

    def _watched(self, test: DeclaredTest, text: str) -> float:
        """Return the probability of the label, or of whichever is answered."""
        return self.of(text, self.label(text) if test.label is None else test.label)


def ask(predict: Predict, labels: tuple[str, ...], cases: Sequence[Case]) -> Answers:
    """Return the answers of a callable ``texts -> probabilities (n, n_labels)`` to all cases.

    Raises
    ------
    DataError
        If it does not answer with one row of finite probabilities a text.
    """
    texts = texts_of(cases)
    probabilities = np.asarray(predict(texts), dtype=np.float64)
    if probabilities.shape != (len(texts), len(labels)) or not np.isfinite(probabilities).all():
        raise DataError(
            f"answers of shape {probabilities.shape} to {len(texts)} texts",
            expected=f"finite probabilities ({len(texts)}, {len(labels)})",
            fix="look at the function that predicts",
        )
    return Answers(labels, dict(zip(texts, probabilities, strict=True)))


def read_answers(predictions: Predictions, cases: Sequence[Case]) -> Answers | Said:
    """Return the answers in a predictions file of the cases, as :func:`write_cases` wrote them.

    Of a model that tells its label alone, that label counts as sure.
    """
    table, questions = read_predictions(predictions), questions_of(cases)
    asked = [questions[int(example_id)] for example_id in table.example_ids]
    texts = [question.text for question in asked]
    if isinstance(table, PredictionTable):
        return Answers(table.labels, dict(zip(texts, softmax(table.logits), strict=True)))
    said = table.predicted.tolist()
    if get_problem(predictions.problem).has_label:  # told by a model that gives no probabilities
        labels = tuple(sorted({*table.labels, *said}))
        sure = np.array([[float(label == one) for label in labels] for one in said])
        return Answers(labels, dict(zip(texts, sure, strict=True)))
    scores = dict(zip(asked, table.score.tolist(), strict=True))
    return Said(predictions.problem, dict(zip(asked, said, strict=True)), scores)


def judge_tests(
    behaviour: BehaviourFile, cases: Sequence[Case], answers: Answers | Said, confidence: float
) -> tuple[BehaviourResult, ...]:
    """Return each test's failure rate with Wilson's interval, and its first failures.

    The interval takes the cases as independent. Those of one template are not, so that it is too
    narrow for "other texts like these"; the list of failures says more.

    References
    ----------
    Ribeiro, Wu, Guestrin and Singh (2020), "Beyond accuracy: behavioral testing of NLP models with
    CheckList", ACL.
    """
    return tuple(
        _judge(test, [case for case in cases if case.test == test.name], answers, confidence)
        for test in behaviour.tests
    )


def behaviour_report(
    results: Sequence[BehaviourResult], predictions: Predictions, confidence: float
) -> EvaluationReport:
    """Return the results as a report with ``failure_rate`` of all cases and of each test."""
    failed, n = sum(r.n_failed for r in results), sum(r.n for r in results)
    total = _failure_rate("failure_rate", failed, n, confidence)
    return EvaluationReport(
        checkpoint_digest=predictions.checkpoint_digest,
        dataset_digest=predictions.dataset_digest,
        predictions_digest=predictions.digest,
        suite=SUITE,
        kind="behaviour",
        n=n,
        metrics=(total, *(result.failure_rate for result in results)),
        headlines=("failure_rate",),
        behaviour=tuple(results),
    )


def _judge(
    test: DeclaredTest, cases: Sequence[Case], answers: Answers | Said, confidence: float
) -> BehaviourResult:
    failures = [f for f in (_failure(test, case, answers) for case in cases) if f is not None]
    return BehaviourResult(
        name=test.name,
        kind=test.kind,
        capability=test.capability,
        n=len(cases),
        n_failed=len(failures),
        failure_rate=_failure_rate(
            f"failure_rate_{test.name}", len(failures), len(cases), confidence
        ),
        failures=tuple(failures[:_SHOWN]),
    )


def _failure(test: DeclaredTest, case: Case, answers: Answers | Said) -> BehaviourFailure | None:
    expected, got = answers.verdict(test, case)
    if expected is None:
        return None
    original = None if case.original is None else str(case.original)
    return BehaviourFailure(text=str(case.question), original=original, expected=expected, got=got)


def _failure_rate(name: str, failed: int, n: int, confidence: float) -> MetricValue:
    if not n:
        return MetricValue(name=name, value=None, n=0, greater_is_better=False)
    low, high = wilson_interval(failed, n, confidence)
    return MetricValue(
        name=name, value=failed / n, n=n, ci_low=low, ci_high=high, greater_is_better=False
    )
