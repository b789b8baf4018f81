"""What an attack on a problem wants, and which words it may change, as ``attack`` says."""

from __future__ import annotations

from typing import Any

from pipeline_steps.errors import ConfigurationError
from pipeline_steps.evaluation.attacks.attackable import Attackable
from pipeline_steps.evaluation.attacks.catalog import DISTRACTORS, PREFIXES
from pipeline_steps.evaluation.attacks.distractors import Distracting
from pipeline_steps.evaluation.attacks.drift import Drift
from pipeline_steps.evaluation.attacks.goals import Goal, ThisLabel, WrongAnswer, WrongLabel
from pipeline_steps.evaluation.attacks.passage import Offer
from pipeline_steps.evaluation.attacks.triggers import Preceding
from pipeline_steps.judging_params import AttackParams
from pipeline_steps.problem_defaults import ATTACK_BOUNDS, ATTACK_WORDS, HEADLINES, WRITING
from pipeline_steps.problems.problem import Problem

_DRIFT_BOUND = 0.0


def goal_of(problem: Problem, labels: tuple[str, ...], params: AttackParams) -> Goal:
    """Return what an attack on a problem wants: by default an answer that is wrong.

    Raises
    ------
    ConfigurationError
        If ``attack`` asks for what the problem's answers cannot be.
    """
    if params.target is not None:
        return _this_label(problem, labels, params.target)
    if params.goal == "drift":
        return _drift(problem, params)
    if problem.has_label:
        return WrongLabel(labels)
    bound = ATTACK_BOUNDS[problem.name] if params.bound is None else params.bound
    structured: Any = problem
    return WrongAnswer(structured, HEADLINES[problem.name][0], bound)


def offer_of(problem: Problem, recipe: str, params: AttackParams) -> Offer:
    """Return which words of a problem's rows a recipe may change.

    Raises
    ------
    ConfigurationError
        If the recipe is for another problem, or the problem names no words to keep.
    """
    if recipe in PREFIXES:
        return Preceding(problem)
    if recipe not in DISTRACTORS:
        return Attackable(problem, params.words or ATTACK_WORDS.get(problem.name, "all"))
    if problem.name != "question_answering":
        raise ConfigurationError(
            f"{recipe} adds to the context of a question, and there is none in {problem.name}",
            expected="question_answering",
            fix=f"leave {recipe} out of attack.recipes",
        )
    return Distracting(problem)


def _this_label(problem: Problem, labels: tuple[str, ...], target: str) -> Goal:
    if not problem.has_label:
        raise ConfigurationError(
            f"attack.target is {target!r}, and a row of {problem.name} has more than one label",
            expected="null, or a problem of one label a row",
            fix="set attack.target to null",
        )
    if target not in labels:
        raise ConfigurationError(
            f"attack.target is {target!r}, which is no label of the model",
            expected=f"one of {', '.join(labels[:20])}",
            fix="set attack.target to one of them, or to null",
        )
    return ThisLabel(labels, target)


def _drift(problem: Problem, params: AttackParams) -> Goal:
    if problem.name not in WRITING:
        raise ConfigurationError(
            f"attack.goal is drift, and {problem.name} writes no text",
            expected=f"wrong; drift for {', '.join(sorted(WRITING))}",
            fix="set attack.goal to wrong",
        )
    return Drift(_DRIFT_BOUND if params.bound is None else params.bound)
