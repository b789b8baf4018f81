"""A kept search: asked and told by any number of processes, and the same after an interruption."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pipeline_steps.search.study import Asked, Study
from pipeline_steps.search_params import Range, TuneParams

SPACE = {
    "learning_rate": {"low": 1e-5, "high": 1e-2, "log": True},
    "epochs": {"low": 1, "high": 9},
    "tuning": [{"kind": "full"}, {"kind": "lora", "rank": 4}],
}


def params(**settings: Any) -> TuneParams:
    return TuneParams.model_validate({"n_trials": 8, "space": SPACE, **settings})


@pytest.fixture
def study(tmp_path: Path) -> Callable[..., Study]:
    """Return what opens a search in one database."""

    def opened(name: str = "s", worker: str = "w", **settings: Any) -> Study:
        return Study(f"sqlite:///{tmp_path / 'tune.db'}", name, params(**settings), worker)

    return opened


def score(asked: Asked) -> float:
    """Return a score with its best at a rate of 1e-3, many epochs and LoRA."""
    rate = abs(asked.values["learning_rate"] - 1e-3)
    return asked.values["epochs"] / 9 - rate + (asked.values["tuning"]["kind"] == "lora")


def run(study: Study, n: int | None = None) -> list[Asked]:
    asked = []
    while (n is None or len(asked) < n) and (trial := study.ask()) is not None:
        study.tell(trial.number, score(trial))
        asked.append(trial)
    return asked


def test_the_budget_is_kept_and_a_larger_one_goes_on(study) -> None:
    assert len(run(study())) == 8
    assert study().ask() is None
    assert len(run(study(n_trials=10))) == 2


def test_values_are_of_the_space(study) -> None:
    for asked in run(study()):
        assert 1e-5 <= asked.values["learning_rate"] <= 1e-2
        assert isinstance(asked.values["epochs"], int)
        assert asked.values["tuning"] in SPACE["tuning"]


def test_the_same_seed_tries_the_same_and_another_one_does_not(study) -> None:
    first, again = run(study("a")), run(study("b"))
    assert [a.values for a in first] == [a.values for a in again]
    assert [a.values for a in first] != [a.values for a in run(study("c", seed=1))]


def test_the_best_is_found_and_kept_with_its_notes(study) -> None:
    opened = study()
    asked = opened.ask()
    opened.note(asked.number, {"scores": {"valid": 0.5}})
    opened.tell(asked.number, 2.5)
    run(opened)
    best = study().best()
    assert (best.number, best.score, best.notes) == (0, 2.5, {"scores": {"valid": 0.5}})
    assert best.values == dict(asked.values)


def test_the_earlier_one_of_equals_is_the_best(study) -> None:
    opened = study()
    for _ in range(3):
        opened.tell(opened.ask().number, 1.0)
    assert opened.best().number == 0


def test_a_search_that_was_cut_off_goes_on_as_if_it_had_not_been(study) -> None:
    undisturbed = [(t.values, score(t)) for t in run(study("a"))]
    run(study("b"), 5)
    study("b").ask()  # and then the process was killed
    opened = study("b")
    assert len(opened.take_over()) == 1
    run(opened)
    found = [(t.values, t.score) for t in opened.ended()]
    assert sorted(map(repr, found)) == sorted(map(repr, undisturbed))


def test_a_trial_cut_off_twice_counts_once(study) -> None:
    for _ in range(3):
        opened = study()
        opened.take_over()
        opened.ask()
    opened = study()
    opened.take_over()
    assert len(run(opened)) == 8
    assert len(opened.ended()) == 8


def test_the_trials_of_others_are_left_alone(study) -> None:
    theirs = study(worker="another machine").ask()
    mine = study()
    assert mine.take_over() == ()
    assert len(run(mine)) == 7
    study().tell(theirs.number, 0.1)
    assert len(mine.ended()) == 8


def at_once(several: list[Study], monkeypatch: pytest.MonkeyPatch) -> list[Asked | None]:
    """Return what each study gives that has looked at the budget before any other began."""
    looked, begun = threading.Barrier(len(several)), Study._n_begun

    def n_begun(study: Study) -> int:
        n = begun(study)
        looked.wait(timeout=30)
        return n

    monkeypatch.setattr(Study, "_n_begun", n_begun)
    with ThreadPoolExecutor(len(several)) as pool:
        found = list(pool.map(Study.ask, several))
    monkeypatch.undo()
    return found


@pytest.mark.parametrize("n_before", [0, 4])
def test_two_that_ask_at_the_same_moment_try_different_values(
    study, monkeypatch: pytest.MonkeyPatch, n_before: int
) -> None:
    run(study(), n_before)
    one, other = at_once([study(worker="a"), study(worker="b")], monkeypatch)
    assert one is not None
    assert other is not None
    assert one.values != other.values


def test_the_budget_is_kept_where_two_ask_for_the_last_trial(
    study, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(study(), 7)
    found = at_once([study(worker="a"), study(worker="b")], monkeypatch)
    [last] = [asked for asked in found if asked is not None]
    study().tell(last.number, 0.1)
    assert len(study().ended()) == 8
    assert study().ask() is None


def test_a_trial_below_the_median_is_stopped_and_a_better_one_is_not(study) -> None:
    opened = study(n_trials=20)
    for value in (0.5, 0.6, 0.7, 0.8, 0.9):
        trial = opened.ask()
        assert not any(opened.report(trial.number, n, value) for n in (1, 2, 3))
        opened.tell(trial.number, value)
    bad, good = opened.ask(), opened.ask()
    assert not opened.report(bad.number, 1, 0.1)  # one evaluation says little
    assert opened.report(bad.number, 2, 0.1)
    opened.stopped(bad.number, failed=False)
    assert not any(opened.report(good.number, n, 0.95) for n in (1, 2, 3))
    opened.stopped(good.number, failed=True)
    assert [t.state for t in opened.ended()][-2:] == ["pruned", "fail"]


def test_nothing_is_stopped_where_pruning_is_off(study) -> None:
    opened = study(prune=False)
    for value in (0.9, 0.8, 0.7, 0.1):
        trial = opened.ask()
        assert not any(opened.report(trial.number, n, value) for n in (1, 2, 3))
        opened.tell(trial.number, value)


def test_a_range_needs_its_bounds_in_order() -> None:
    with pytest.raises(ValidationError, match="low must be below high"):
        Range(low=2, high=1)
    with pytest.raises(ValidationError, match="positive where log is true"):
        Range(low=0.0, high=1.0, log=True)
