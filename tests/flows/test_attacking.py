"""Attacks on a small trained workspace: from the command line, and as suites of a training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tiny_workspaces import change_params
from warm_commands import WarmCommands

Trained = tuple[Path, dict[str, Any]]
WITHOUT_DVC = {"skip": ["reproduce_data"]}


def attack(holdfast: WarmCommands, root: Path, *options: str) -> list[dict[str, Any]]:
    ended = holdfast("attack", "--json", *options, cwd=root, **WITHOUT_DVC)
    assert ended.code == 0, ended.stderr
    return list(ended.printed["attacks"])


def metric(report: dict[str, Any], name: str) -> dict[str, Any]:
    return next(found for found in report["metrics"] if found["name"] == name)


def test_the_champion_is_attacked_on_rows_of_its_test_set(
    holdfast: WarmCommands, trained: Trained
) -> None:
    root, _ = trained
    [found] = attack(holdfast, root, "--recipe", "deepwordbug", "--examples", "20")
    statuses = [result["status"] for result in found["results"]]
    right = sum(status in ("unknown", "unbroken") for status in statuses)
    assert found["report"]["kind"] == "adversarial"
    assert metric(found["report"], "accuracy")["value"] == right / 20
    assert found["cost"]["n_queries"] == sum(r["n_queries"] for r in found["results"]) > 0
    assert attack(holdfast, root, "--recipe", "deepwordbug", "--examples", "20") == [found]


def test_an_attack_that_does_not_exist_is_refused_with_those_that_do(
    holdfast: WarmCommands, trained: Trained
) -> None:
    root, _ = trained
    ended = holdfast("attack", "--recipe", "deepwordbg", cwd=root)
    assert ended.code == 2
    assert "there is no attack deepwordbg" in ended.stderr
    assert "deepwordbug" in ended.stderr


def test_a_setting_that_an_attack_cannot_have_is_refused(
    holdfast: WarmCommands, trained: Trained
) -> None:
    root, _ = trained
    ended = holdfast("attack", "--words", "verbs", cwd=root)
    assert ended.code == 2
    assert "--words verbs" in ended.stderr
    ended = holdfast("attack", "--target", "nothing", cwd=root, **WITHOUT_DVC)
    assert ended.code == 2
    assert "is no label of the model" in ended.stderr


def test_a_targeted_attack_counts_only_the_label_that_it_wants(
    holdfast: WarmCommands, trained: Trained
) -> None:
    root, _ = trained
    [found] = attack(holdfast, root, "--examples", "20", "--target", "plus")
    for result in found["results"]:
        assert result["truth"] != "plus"
        wrong = result["clean_prediction"] != result["truth"]
        assert (result["status"] == "wrong") == wrong
        assert (result["status"] == "broken") == (not wrong and result["prediction"] == "plus")


def test_an_attack_in_the_parameters_is_a_suite_of_every_candidate(
    holdfast: WarmCommands, trained: Trained
) -> None:
    root, first = trained
    change_params(root, attack={"recipes": ["deepwordbug"], "n_examples": 20})
    ended = holdfast("train", "--json", cwd=root, **WITHOUT_DVC)
    assert ended.code == 0, ended.stderr
    assert ended.printed["fingerprint"] != first["fingerprint"]
    assert ended.printed["metrics"]["deepwordbug/accuracy"]["n"] == 20
    assert ended.printed["metrics"]["deepwordbug/mean_queries"]["value"] > 0


def test_several_attacks_and_seeds_make_a_worst_case_and_are_told_beside_the_champion(
    holdfast: WarmCommands, trained: Trained
) -> None:
    root, _ = trained
    recipes, rows = ["deepwordbug", "pruthi"], 20
    settings = {"recipes": recipes, "n_examples": rows, "seeds": 2}
    certify = {"n_examples": 4, "n_choosing": 5, "n_counting": 40}
    change_params(root, attack={**settings, "certify": certify}, finetune={"seed": 1})
    change_params(root, gate={"floors": {"worst_case/accuracy": 0.0, "test/accuracy": 0.3}})
    ended = holdfast("train", "--json", cwd=root, **WITHOUT_DVC)
    assert ended.code == 0, ended.stderr
    metrics = ended.printed["metrics"]
    each = [metrics[f"{name}/accuracy"]["value"] for name in recipes]
    assert metrics["worst_case/accuracy"]["value"] <= min(each)
    assert metrics["certified/smoothed_accuracy"]["n"] == 4
    page = Path(ended.printed["report"])
    told = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    attacks = told["under_attack"]["attacks"]
    assert [attack["name"] for attack in attacks] == recipes
    for attack, accuracy in zip(attacks, each, strict=True):
        assert attack["accuracy"]["value"] == accuracy
        assert accuracy <= min(seed["value"] for seed in attack["seeds"])
        assert attack["cost"]["n_tokens"] > attack["cost"]["n_forwards"] > 0
        assert attack["versus"]["name"] == "champion"
        paired, compared = attack["versus"]["paired"], told["comparisons"]
        (same,) = [c for c in compared if c["suite"] == attack["name"]]
        difference = next(d for d in same["differences"] if d["name"] == "accuracy")
        assert paired["n"] == rows
        assert paired["difference"] == pytest.approx(difference["difference"])
    assert told["under_attack"]["worst"]["versus"]["paired"]["n"] == rows
    assert told["failures"]
    assert "Under attack" in page.read_text(encoding="utf-8")


def test_evaluate_certifies_and_moves_word_vectors_of_as_many_rows_as_it_is_told(
    holdfast: WarmCommands, trained: Trained
) -> None:
    root, _ = trained
    asked = ("evaluate", "--version", "1", "--certify", "3", "--ball", "5")
    ended = holdfast(*asked, "--json", cwd=root, **WITHOUT_DVC)
    assert ended.code == 0, ended.stderr
    found = {report["kind"]: report for report in ended.printed}
    assert found["certified"]["n"] == 3
    ball = found["embedding_ball"]
    shares = [metric["value"] for metric in ball["metrics"]]
    assert (ball["n"], ball["metrics"][1]["name"]) == (5, "accuracy_within_l2_0.1")
    assert shares == sorted(shares, reverse=True)
    told = holdfast(*asked, cwd=root, **WITHOUT_DVC)
    assert "certified (n = 3)" in told.stdout
    assert "moves of word vectors (n = 5)" in told.stdout
    assert "no text stands there" in told.stdout


def test_an_attack_that_may_stop_ends_when_its_floor_is_decided(
    holdfast: WarmCommands, trained: Trained
) -> None:
    root, _ = trained
    change_params(root, gate={"floors": {"deepwordbug/accuracy": 0.99}, "min_rows": 10})
    ended = holdfast(
        "attack", "--json", "--stop-early", "--examples", "60", cwd=root, **WITHOUT_DVC
    )
    assert ended.code == 0, ended.stderr
    (told,) = ended.printed["under_attack"]["attacks"]
    stopped = told["stopped"]
    assert (stopped["decision"], stopped["against"]) == ("below", ["floor 0.99"])
    assert stopped["n"] < stopped["of"]
    assert told["accuracy"]["n"] == stopped["n"] == len(ended.printed["attacks"][0]["results"])
    whole = attack(holdfast, root, "--all-rows", "--examples", "60")[0]["results"]
    rows = {row["example_id"]: row["status"] for row in whole}
    found = ended.printed["attacks"][0]["results"]
    assert all(rows[row["example_id"]] == row["status"] for row in found)


def test_two_versions_are_attacked_on_the_same_rows_and_told_on_a_page(
    holdfast: WarmCommands, trained: Trained, tmp_path: Path
) -> None:
    root, _ = trained
    page = tmp_path / "pair.html"
    options = ("--examples", "20", "--against", "1", "--html", str(page))
    ended = holdfast("attack", "--json", *options, cwd=root, **WITHOUT_DVC)
    assert ended.code == 0, ended.stderr
    (told,) = ended.printed["under_attack"]["attacks"]
    assert told["versus"]["paired"]["difference"] == 0.0
    broken = [t["wrong"] for t in told["versus"]["transfers"]]
    assert all(share["value"] == 1.0 for share in broken if share["n"])
    assert "Against version 1" in page.read_text(encoding="utf-8")


def test_training_rows_are_attacked_and_learnt_from_the_mildest_first(
    holdfast: WarmCommands, trained: Trained, tmp_path: Path
) -> None:
    root, first = trained
    file = tmp_path / "texts.parquet"
    options = ("--recipe", "deepwordbug", "--examples", "30", "--training-texts", str(file))
    ended = holdfast("attack", "--json", *options, cwd=root, **WITHOUT_DVC)
    assert ended.code == 0, ended.stderr
    assert 0 <= ended.printed["n_broken"] <= ended.printed["n_rows"]
    assert 0 < ended.printed["n_rows"] <= 30
    train = pq.read_table(root / "data/splits/train.parquet").to_pylist()
    known = {row["example_id"]: row for row in train}
    texts = pq.read_table(file).to_pylist()
    assert len(texts) == ended.printed["n_rows"]
    for text in texts:
        assert text["original"] == known[text["example_id"]]["text"] != text["text"]
        assert text["label"] == known[text["example_id"]]["label"]
    attacked = {"texts": str(file), "ramp_epochs": 0, "probability": 1.0}
    change_params(root, finetune={"augmentation": {"probability": 0.0, "attacked": attacked}})
    ended = holdfast("train", "--json", cwd=root, **WITHOUT_DVC)
    assert ended.code == 0, ended.stderr
    assert ended.printed["fingerprint"] != first["fingerprint"]
