"""Which behavioural tests a model fails, how often, and on what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyarrow.parquet as pq

from pipeline_steps.errors import DataError
from pipeline_steps.evaluation.behaviour.cases import SUITE, Case, texts_of
from pipeline_steps.evaluation.behaviour.declared import BehaviourFile, DeclaredTest
from pipeline_steps.evaluation.intervals import wilson_interval
from pipeline_steps.evaluation.metrics import softmax
from pipeline_steps.evaluation_types import (
    BehaviourFailure,
    BehaviourResult,
    EvaluationReport,
    MetricValue,
)
from pipeline_steps.predictions_file import PredictionTable, read_predictions
from pipeline_steps.types import DatasetRef, Predictions

Array = np.ndarray[Any, Any]
Predict = Callable[[Sequence[str]], Array]
_SHOWN = 10


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


def read_answers(predictions: Predictions, dataset: DatasetRef) -> Answers:
    """Return the answers in a predictions file of the cases' texts."""
    table = cast("PredictionTable", read_predictions(predictions))
    rows = pq.read_table(dataset.path, columns=["example_id", "text"]).to_pydict()
    texts = dict(zip(rows["example_id"], rows["text"], strict=True))
    probabilities = softmax(table.logits)
    by_text = {
        texts[example_id]: row
        for example_id, row in zip(table.example_ids, probabilities, strict=True)
    }
    return Answers(table.labels, by_text)


def judge_tests(
    behaviour: BehaviourFile, cases: Sequence[Case], answers: Answers, confidence: float
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
    test: DeclaredTest, cases: Sequence[Case], answers: Answers, confidence: float
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


def _failure(test: DeclaredTest, case: Case, answers: Answers) -> BehaviourFailure | None:
    expected, got = _expectation(test, case, answers)
    if expected is None:
        return None
    return BehaviourFailure(text=case.text, original=case.original, expected=expected, got=got)


def _expectation(test: DeclaredTest, case: Case, answers: Answers) -> tuple[str | None, str]:
    """Return what was expected and what came; ``None`` for what was met."""
    got = answers.label(case.text)
    if case.original is None:
        return (None if got == test.label else test.label), got
    before = answers.label(case.original)
    if test.label is None:
        return (None if got == before else before), got
    then, now = (answers.of(text, test.label) for text in (case.original, case.text))
    lost = then - now if test.must_not == "fall" else now - then
    bound = "at least" if test.must_not == "fall" else "at most"
    expected = f"{bound} {then:.2f} of {test.label}"
    return (None if lost <= test.tolerance else expected), f"{now:.2f}"


def _failure_rate(name: str, failed: int, n: int, confidence: float) -> MetricValue:
    if not n:
        return MetricValue(name=name, value=None, n=0, greater_is_better=False)
    low, high = wilson_interval(failed, n, confidence)
    return MetricValue(
        name=name, value=failed / n, n=n, ci_low=low, ci_high=high, greater_is_better=False
    )
