"""Triggers that are found once, on rows that are not attacked, and tried on all that are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from builders import write_jsonl
from foreign_models import NO_OPTIONS, Served, classifier, save_foreign_model
from tiny_predictors import predictor
from tiny_workspaces import sentiment_rows

from flows.attack_services import Services
from flows.commands.judge_model import attack_any
from flows.foreign.judging import Evaluated
from flows.pipeline import call_directly
from flows.universal_triggers import TriggerFinder
from flows.victims import CheckpointVictim
from pipeline_steps.errors import ConfigurationError
from pipeline_steps.evaluation.attacks.triggers import Words, find_trigger
from pipeline_steps.inference.flips import shared_flips, word_flips
from pipeline_steps.inference.readings import Reading

LABELS = ("minus", "plus")
SETTINGS = {"recipes": ("universal_trigger",), "n_examples": 40}
VALUES = {"good": 1.0, "bad": -1.0, "card": 0.5, "loan": 0.2, "the": 0.0}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_jsonl(tmp_path_factory.mktemp("data") / "rows.jsonl", sentiment_rows(120))


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models") / "tiny"
    return save_foreign_model(path, LABELS, taught=sentiment_rows(64, seed=5))


def attacked(model: Path | str, data: Path, **options: Any) -> Evaluated:
    settings = {**SETTINGS, **options.pop("settings", {})}
    asked = {**NO_OPTIONS, "model": str(model), "data": data, **options}
    return attack_any(asked, settings, call=call_directly)


def test_the_search_finds_the_best_word_of_each_place_and_asks_of_no_more_than_it_must() -> None:
    asked: list[Words] = []

    def harm(several: Sequence[Words]) -> list[float]:
        asked.extend(several)
        return [sum(VALUES[word] / (place + 1) for place, word in enumerate(w)) for w in several]

    assert find_trigger(lambda _: [list(VALUES)] * 3, harm) == ("good", "good", "good")
    assert len(asked) == 1 + 2 * 3 * len(VALUES)  # the second round changes nothing and is the last
    assert find_trigger(lambda _: [[], [], []], harm) == ("the", "the", "the")
    assert find_trigger(lambda _: [["bad"]] * 3, harm) == ("the", "the", "the")


def test_the_gain_over_rows_is_the_sum_of_their_own_gains(tmp_path: Path) -> None:
    asked = predictor(tmp_path)
    spans = [(0, 0, 4), (0, 5, 9)]
    readings = [Reading(f"good card {rest}", None, 1, spans) for rest in ("the film", "bad")]
    together = shared_flips(asked, readings, 10_000)
    apart = [word_flips(asked, reading, 10_000) for reading in readings]
    for word in range(2):
        first, second = (dict(found[word]) for found in apart)
        summed = dict(together[word])
        assert summed.keys() == first.keys()
        assert summed == pytest.approx({w: first[w] + second[w] for w in first}, abs=1e-5)
    assert shared_flips(asked, [Reading("good", None, 1, [(0, 0, 3)])], 3) == [[]]


def test_a_trigger_breaks_rows_it_was_not_found_on_and_leaves_their_text_behind_it(
    model: Path, data: Path
) -> None:
    (attack,) = attacked(model, data).attacks
    broken = [result for result in attack.results if result.status == "broken"]
    assert broken
    triggers: dict[str, set[str]] = {}
    for result in broken:
        before, rest = result.perturbed[: -len(result.original)], result.original
        assert result.perturbed == before + rest
        assert result.n_changed == len(before.split()) == 3
        assert result.n_words == len(rest.split())
        triggers.setdefault(result.truth, set()).add(before)
    assert all(len(found) == 1 for found in triggers.values())
    assert max(result.n_queries for result in attack.results) == 1
    assert attacked(model, data).attacks[0].results == attack.results


def test_with_a_target_the_harm_of_words_is_how_near_they_bring_other_rows_to_it(
    tmp_path: Path,
) -> None:
    victim = CheckpointVictim(predictor(tmp_path))
    rows = [
        {"example_id": name, "text": "card", "text_pair": None, "label": name, "target": None}
        for name in ("bad", "good")
    ]
    finder = TriggerFinder(victim, rows, "good")
    (answer,) = victim([{**rows[0], "text": "the the the card"}])
    assert finder.held_out == rows[:1]
    assert finder._harm(rows[:1], ("the",) * 3) == pytest.approx(answer.probabilities[1])
    assert finder.of_label("good") == []
    with pytest.raises(ConfigurationError, match="rows that are not attacked: there are none"):
        TriggerFinder(victim, rows[1:], "good")


def test_where_all_rows_are_attacked_or_no_gradient_is_given_it_is_refused(
    model: Path, data: Path
) -> None:
    with pytest.raises(ConfigurationError, match="rows that are not attacked: there are none"):
        attacked(model, data, settings={"n_examples": 500})
    with classifier(Served()) as served, pytest.raises(ConfigurationError, match="runs elsewhere"):
        attacked(served.url, data)


def test_a_label_that_no_other_row_has_gets_no_trigger(tmp_path: Path) -> None:
    row = {"example_id": "1", "text": "good", "text_pair": None, "label": "good", "target": None}
    victim = CheckpointVictim(predictor(tmp_path))
    assert TriggerFinder(victim, [row]).of_label("bad") == []
    assert TriggerFinder(victim, [{**row, "label": "other"}]).of_label("other") == []
    with pytest.raises(ConfigurationError, match="attack fewer rows"):
        Services(victim, "").named(["triggers"], "universal_trigger")
