"""Models that were not trained here under attack: several seeds, beside another, stopping early."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import write_jsonl
from foreign_models import NO_OPTIONS, Served, best_label, classifier, save_foreign_model
from tiny_workspaces import sentiment_rows

from flows.commands.attack import version_number
from flows.commands.judge_model import attack_any, lines, public, refuse_mixture
from flows.foreign.judging import Evaluated
from flows.pipeline import call_directly
from pipeline_steps.errors import ConfigurationError, UsageError

LABELS = ("minus", "plus")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_jsonl(tmp_path_factory.mktemp("data") / "rows.jsonl", sentiment_rows(200))


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models") / "tiny"
    return save_foreign_model(path, LABELS, taught=sentiment_rows(64, seed=5))


@pytest.fixture
def served() -> Iterator[Served]:
    with classifier(Served()) as running:
        yield running


def attacked(model: Path, data: Path, *names: str, **asked: Any) -> Evaluated:
    beside = {name: asked.pop(name) for name in ("against", "floor", "html") if name in asked}
    options = {name: asked.pop(name) for name in NO_OPTIONS if name in asked}
    options = {**NO_OPTIONS, "model": str(model), "data": data, **options}
    settings = {"recipes": names or ("pruthi",), "n_examples": 24, **asked}
    return attack_any(options, settings, call=call_directly, **beside)


def test_what_any_of_several_seeds_breaks_is_broken(
    model: Path, data: Path, tmp_path: Path
) -> None:
    found = attacked(model, data, seeds=3, report=tmp_path)
    told = found.under_attack.attacks[0]
    assert [seed.name for seed in told.seeds] == ["seed 0", "seed 1", "seed 2"]
    assert told.accuracy.value <= min(seed.value for seed in told.seeds)
    assert found.attacks[0].report.metric("accuracy").value == told.accuracy.value
    (alone,) = attacked(model, data, seed=1).under_attack.attacks
    assert alone.accuracy.value == told.seeds[1].value
    assert told.cost.n_queries > alone.cost.n_queries
    assert "the worst of them on each row is reported, with the queries of all" in lines(found)
    assert (tmp_path / "attacks" / "pruthi-seed-2.parquet").exists()


def test_another_model_is_attacked_on_the_same_rows_and_each_by_the_other_s_texts(
    model: Path, data: Path, served: Served, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    names = ("deepwordbug", "pruthi")
    found = attacked(model, data, *names, against=served.url, html=page, report=tmp_path / "r")
    ours, theirs = found.under_attack.attacks[0].versus.transfers
    assert (ours.judged_on, theirs.judged_on) == ("the other model", "candidate")
    broken = [r for r in found.attacks[0].results if r.status == "broken"]
    wrong = sum(best_label(r.perturbed) != r.truth for r in broken)
    assert ours.wrong.n == len(broken) > 0
    assert ours.wrong.value == wrong / len(broken)
    for attack in found.under_attack.attacks:
        difference = attack.accuracy.value - attack.versus.accuracy.value
        assert attack.versus.paired.difference == pytest.approx(difference)
        assert attack.versus.paired.n == 24
    assert found.under_attack.worst.versus.paired.n == 24
    said = lines(found)
    assert "worst case: the other model" in said
    assert f"this one's texts break it: {ours.wrong.value:.3f}" in said
    assert f"its texts break this one: {theirs.wrong.value:.3f}" in said
    assert "this one&#39;s texts break it" in page.read_text(encoding="utf-8")
    content = public(found)
    assert content["against"]["address"] == served.url
    assert "tracking_uri" not in content["against"]
    told = json.loads((tmp_path / "r" / "report.json").read_text(encoding="utf-8"))
    assert told["against"]["problem"] == "text_classification"
    assert served.url in (tmp_path / "r" / "report.html").read_text(encoding="utf-8")


def test_an_attack_stops_once_it_is_clear_on_which_side_of_the_floor_a_model_is(
    model: Path, data: Path
) -> None:
    names = ("deepwordbug", "pruthi")
    found = attacked(model, data, *names, n_examples=90, stop_early=True, floor=0.9)
    stopped = found.under_attack.attacks[0].stopped
    assert (stopped.decision, stopped.against) == ("below", ("floor 0.9",))
    assert 50 <= stopped.n < stopped.of == 90
    report = found.attacks[0].report
    accuracy = report.metric("accuracy")
    assert (report.n, accuracy.ci_low, accuracy.ci_high) == (
        stopped.n, stopped.ci_low, stopped.ci_high,
    )  # fmt: skip
    assert found.under_attack.worst is None
    assert f"deepwordbug: below floor 0.9 after {stopped.n} of 90 rows" in lines(found)


def test_two_models_stop_when_their_difference_is_clear(
    model: Path, data: Path, served: Served
) -> None:
    found = attacked(model, data, "deepwordbug", n_examples=60, stop_early=True, against=served.url)
    (attack,) = found.under_attack.attacks
    assert attack.stopped.against == ("margin 0.03 to the other model",)
    assert attack.versus.paired.n == attack.stopped.n
    assert attack.versus.paired.ci_low == attack.stopped.margin_low


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"stop_early": True}, "--stop-early, and nothing that could be decided"),
        ({"floor": 0.5}, "--floor without --stop-early"),
        ({"stop_early": True, "floor": 0.5, "workers": 2}, "--stop-early beside --workers 2"),
    ],
)
def test_stopping_without_a_bound_or_by_several_processes_is_refused(
    model: Path, data: Path, asked: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        attacked(model, data, **asked)


def test_a_model_for_another_problem_is_refused_as_the_other_one(
    model: Path, data: Path, tmp_path: Path
) -> None:
    other = save_foreign_model(tmp_path / "tags", ("O", "B-x"), problem="ner")
    with pytest.raises(ConfigurationError, match="--against is for ner, and --model for text_cl"):
        attacked(model, data, against=str(other))
    with pytest.raises(ConfigurationError, match="--against nowhere is no directory"):
        attacked(model, data, against="nowhere")


def test_beside_a_version_the_other_is_a_version_and_a_floor_is_for_models() -> None:
    assert version_number("12") == 12
    with pytest.raises(UsageError, match=r"--against \./tiny, and the model is a version"):
        version_number("./tiny")
    with pytest.raises(UsageError, match="--floor without --model"):
        refuse_mixture({**NO_OPTIONS, "floor": 1.0}, Path(), {})
