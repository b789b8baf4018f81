"""The rows of an arena: which of its two victims answers what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from toy_victims import LABELS, keyword_victim, passage_of

from flows.arena import Arena
from flows.attack_services import Services
from pipeline_steps.evaluation.attacks.goals import Answer
from pipeline_steps.judging_params import AttackParams
from pipeline_steps.problems.text_classification import TextClassification

FRAGILE = "a good film"


class Toy(SimpleNamespace):
    """A victim that knows its keywords, or one that is fooled by nothing."""

    def __call__(self, rows: Sequence[Any]) -> list[Answer]:
        answers = keyword_victim(rows)
        return [replace(a, predicted=self.always or a.predicted) for a in answers]

    def counts(self) -> dict[str, int]:
        return dict.fromkeys(("n_forwards", "n_tokens", "n_padding"), 0)


def arena() -> Arena:
    """Return an arena whose scout misses every break."""
    common = {"problem": TextClassification(), "labels": LABELS, "predictor": None}
    victim, scout = Toy(**common, always=None), Toy(**common, always="good")
    rows = [passage_of(FRAGILE, name="0").row]
    return Arena(victim, scout, rows, AttackParams(), {}, Services(victim, ""))


def test_a_proof_is_never_that_of_a_scout() -> None:
    outcome, cost = arena().run("typos_proof", seed=0)
    assert [result.status for result in outcome.results] == ["broken"]
    assert cost.n_scouted == 0


def test_what_is_left_of_a_text_is_what_the_judged_model_still_answers_rightly() -> None:
    outcome, cost = arena().run("input_reduction", seed=0)
    assert [(r.status, r.perturbed.strip()) for r in outcome.results] == [("unknown", "good")]
    assert cost.n_scouted == 0


def test_other_attacks_search_by_the_scout() -> None:
    _, cost = arena().run("pruthi", seed=0)
    assert cost.n_scouted > 0
