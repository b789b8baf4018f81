"""What ``attack`` may ask of a problem is said when params.yaml is read."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline_steps.attack_mistakes import ATTACK_NAMES, attack_mistakes
from pipeline_steps.errors import ConfigurationError
from pipeline_steps.evaluation.attacks.catalog import ATTACKS
from pipeline_steps.evaluation.attacks.search import FLIPS, MASKED, TRIGGERS
from pipeline_steps.evaluation.attacks.weaknesses import WEAKNESSES
from pipeline_steps.inference.base_model import DEFAULT_BASE_MODEL as MINILM
from pipeline_steps.judging_params import AttackParams, GateParams
from pipeline_steps.params import parse_params

CLASSIFIER, NER, QA = "text_classification", "ner", "question_answering"
RAW = {"sources": [{"path": "a.csv"}]}


def mistakes(
    problem: str, gate: dict[str, Any] | None = None, *, in_context: bool = False, **attack: Any
) -> str:
    params, asked = GateParams.model_validate(gate or {}), AttackParams(**attack)
    return "; ".join(attack_mistakes(problem, asked, params, MINILM, in_context=in_context))


def test_the_names_are_those_of_the_attacks_and_each_has_a_known_weakness() -> None:
    assert set(ATTACK_NAMES) == set(ATTACKS) == set(WEAKNESSES)
    assert list(ATTACK_NAMES) == sorted(ATTACK_NAMES)
    assert all(sentence.endswith(".") for sentence in WEAKNESSES.values())


def test_an_unknown_attack_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigurationError, match="no attack deepwordbg; there are bae, deepword"):
        parse_params({"ingest": RAW, "attack": {"recipes": ["deepwordbg"]}}, source="params.yaml")


@pytest.mark.parametrize(
    ("problem", "attack", "message"),
    [
        (CLASSIFIER, {"recipes": ("pruthi", "pruthi")}, "pruthi stands there 2 times"),
        (NER, {"recipes": ("hotflip",)}, "hotflip is not for ner"),
        (CLASSIFIER, {"recipes": ("distractor",)}, "distractor is not for text_classification"),
        (CLASSIFIER, {"recipes": ("bae",)}, "bae asks the masked-language head"),
        (QA, {"ranking": "gradient"}, "gradient is not for question_answering"),
        (NER, {"target": "B-PER"}, "a row of ner has more than one label"),
        (CLASSIFIER, {"goal": "drift"}, "drift is not for text_classification"),
        (NER, {"certify": {}}, "ner has no label to vote on"),
        (NER, {"ball": {}}, "ner has no one label's margin"),
        (NER, {"recipes": ("universal_trigger",)}, "universal_trigger is not for ner"),
        (NER, {"stop_early": True}, "stop_early is not for ner"),
    ],
)
def test_what_does_not_go_with_a_problem_is_refused(
    problem: str, attack: dict[str, Any], message: str
) -> None:
    assert message in mistakes(problem, **attack)


@pytest.mark.parametrize(
    "attack", [{"recipes": ("hotflip",)}, {"ranking": "gradient"}, {"ball": {}}]
)
def test_a_model_in_context_has_no_gradients_to_attack_it_by(attack: dict[str, Any]) -> None:
    assert "in_context gives none" in mistakes(CLASSIFIER, in_context=True, **attack)
    assert mistakes(CLASSIFIER, **attack) == ""


def test_gradients_of_a_model_in_context_are_refused_when_params_are_read() -> None:
    raw = {
        "ingest": RAW,
        "finetune": {"tuning": {"kind": "in_context"}},
        "attack": {"recipes": ["hotflip"]},
    }
    with pytest.raises(ConfigurationError, match="hotflip asks for gradients"):
        parse_params(raw, source="params.yaml")


def test_a_bound_that_every_score_is_below_is_refused() -> None:
    """Overlap with an earlier text is another matter: there 1 asks for any other text."""
    assert "every row is wrong before" in mistakes(NER, bound=1.0)
    assert mistakes(NER, bound=0.9) == mistakes(CLASSIFIER, bound=1.0) == ""
    assert mistakes("dialogue", goal="drift", bound=1.0) == ""


def test_what_goes_with_a_problem_is_let_pass() -> None:
    every = [name for name in ATTACK_NAMES if name not in ("distractor", "bae")]
    assert mistakes(CLASSIFIER, recipes=tuple(every), certify={}, ball={}, stop_early=True) == ""
    assert mistakes(QA, recipes=("distractor", "deepwordbug")) == ""
    assert mistakes("relation_extraction", target="x") == mistakes("dialogue", goal="drift") == ""


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ({"superiority": ["pruthi/accuracy"]}, "a gain under attack"),
        ({"floors": {"pruthi/macro_f1": 0.2}}, "pruthi/macro_f1 of gate is no accuracy"),
        ({"floors": {"worst_case/accuracy": 0.2}}, "there is no worst_case/accuracy"),
    ],
)
def test_attacks_that_stop_early_decide_an_accuracy_alone(
    gate: dict[str, Any], message: str
) -> None:
    assert message in mistakes(CLASSIFIER, gate, recipes=("pruthi",), stop_early=True)
    assert mistakes(CLASSIFIER, gate, recipes=("pruthi",)) == ""


def test_recipes_that_need_what_is_not_everywhere_are_known_as_such() -> None:
    """A recipe that begins to ask for gradients or a masked model must be refused in time too."""
    needs = (FLIPS, MASKED, TRIGGERS)
    by_need = {need: {n for n, r in ATTACKS.items() if need in r.needs} for need in needs}
    assert by_need == {FLIPS: {"hotflip"}, MASKED: {"bae"}, TRIGGERS: {"universal_trigger"}}
