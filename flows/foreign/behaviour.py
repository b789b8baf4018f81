"""Behavioural tests of a model that was not trained here, asked with its other rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flows.foreign.named import NamedModel
from flows.foreign.opening import type_of
from flows.stress import Behaviour
from pipeline_steps.errors import ConfigurationError
from pipeline_steps.evaluation.behaviour.cases import cases_of, write_cases
from pipeline_steps.evaluation.behaviour.declared import load_behaviour
from pipeline_steps.evaluation.behaviour.fitting import EXPECTATIONS
from pipeline_steps.evaluation.behaviour.verdicts import (
    behaviour_report,
    judge_tests,
    read_answers,
)
from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.types import Predictions


def read_tests(path: Path, model: NamedModel, directory: Path) -> Behaviour:
    """Return the behavioural tests in a file with their cases, written down below ``directory``.

    Raises
    ------
    ConfigurationError
        If the file is wrong, or asks what the model cannot answer.
    """
    if model.problem not in EXPECTATIONS:
        raise ConfigurationError(
            f"--behaviour, and the model is for {model.problem}",
            expected=f"a problem that behavioural tests can ask: {', '.join(EXPECTATIONS)}",
            fix="leave --behaviour out",
        )
    declared = load_behaviour(path, _known(model), model.problem, "the model")
    watching = [test.name for test in declared.tests if test.kind == "directional"]
    if (
        watching
        and not model.full
        and model.problem in ("text_classification", "relation_extraction")
    ):
        raise ConfigurationError(
            f"the test {watching[0]} watches a probability, and {model.address} tells its best "
            "label alone",
            expected="a model that tells the probability of every label",
            fix="leave the directional tests out, or let the model return all its scores",
        )
    cases = cases_of(declared)
    return Behaviour(
        declared, cases, write_cases(cases, directory / "behaviour.parquet", model.problem)
    )


def judged_tests(
    tests: Behaviour | None, predicted: Sequence[Predictions], confidence: float
) -> list[EvaluationReport]:
    """Return the report of the tests, of which the last predictions are the answers."""
    if tests is None:
        return []
    answers = read_answers(predicted[-1], tests.cases)
    results = judge_tests(tests.declared, tests.cases, answers, confidence)
    return [behaviour_report(results, predicted[-1], confidence)]


def _known(model: NamedModel) -> frozenset[str] | None:
    """Return the labels or types that the model answers; ``None``: it does not say."""
    if not model.labels or not model.full:
        return None
    if model.problem == "ner":
        return frozenset(type_of(label) for label in model.labels) - {"O"}
    return frozenset(model.labels)
