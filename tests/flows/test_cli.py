"""The command line: help, exit codes, one JSON object on standard output, refusals on the other."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer.main
from tiny_workspaces import change_params, sentiment_rows
from warm_commands import Ended, WarmCommands

from flows.cli import app
from flows.command_line import training
from pipeline_steps import __version__
from pipeline_steps.params import load_params

Trained = tuple[Path, dict[str, Any]]


def command_names() -> list[tuple[str, ...]]:
    """Return every command of the command line, groups and their commands too."""
    group: Any = typer.main.get_command(app)
    names: list[tuple[str, ...]] = [()]
    for name, command in group.commands.items():
        names.append((name,))
        names += [(name, inner) for inner in getattr(command, "commands", ())]
    return names


def run(holdfast: WarmCommands, root: Path, *arguments: str) -> Ended:
    return holdfast(*arguments, cwd=root)


@pytest.mark.parametrize("command", command_names(), ids=" ".join)
def test_every_command_explains_itself(
    holdfast: WarmCommands, tmp_path: Path, command: tuple[str, ...]
) -> None:
    ended = run(holdfast, tmp_path, *command, "--help")
    assert ended.code == 0
    assert f"Usage: holdfast {' '.join(command)}".strip() in ended.stdout
    assert ended.stderr == ""


def test_the_version_is_that_of_the_package(holdfast: WarmCommands, tmp_path: Path) -> None:
    ended = run(holdfast, tmp_path, "--version")
    assert (ended.code, ended.stdout, ended.stderr) == (0, f"holdfast {__version__}\n", "")


def test_init_takes_every_column_that_a_workspace_can_have(
    holdfast: WarmCommands, tmp_path: Path
) -> None:
    (tmp_path / "mine.csv").write_text("text,label,sender\na,b,c\n")
    ended = run(
        holdfast, tmp_path, "init", "new", "--train", "mine.csv", "--column", "source=sender"
    )
    assert (ended.code, ended.stderr) == (0, "")
    params = load_params(tmp_path / "new/params.yaml")
    assert params.ingest.columns.source == "sender"


def test_help_names_the_commands(holdfast: WarmCommands, tmp_path: Path) -> None:
    text = run(holdfast, tmp_path, "--help").stdout
    for name in ("demo", "doctor", "init", "prepare", "train", "evaluate", "ledger"):
        assert f" {name} " in text


@pytest.mark.parametrize(
    "command", [("prepare",), ("train",), ("train", "--json"), ("evaluate",), ("ledger", "log"),
                ("ledger", "verify"), ("ledger", "champion"), ("demo",)],
    ids=" ".join,
)  # fmt: skip
def test_outside_a_workspace_every_command_says_how_to_make_one(
    holdfast: WarmCommands, tmp_path: Path, command: tuple[str, ...]
) -> None:
    ended = run(holdfast, tmp_path, *command)
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"holdfast: there is no {tmp_path}/params.yaml\n")
    assert "holdfast init DIR --train FILE" in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_option_is_refused_with_the_way_to_help(
    holdfast: WarmCommands, tmp_path: Path
) -> None:
    ended = run(holdfast, tmp_path, "train", "--jsn")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr == (
        "holdfast: No such option: --jsn\n"
        "  expected: holdfast train [OPTIONS]\n"
        "  to fix it: did you mean --json? what there is: holdfast train --help\n"
    )


@pytest.mark.parametrize(
    ("arguments", "received", "expected", "fix"),
    [
        (("init",), "Missing argument 'directory'", "holdfast init [OPTIONS]", "init --help"),
        (("init", "new"), "Missing option '--train'", "holdfast init [OPTIONS]", "init --help"),
        (("init", "new", "--train"), "--train", "holdfast COMMAND", "holdfast COMMAND --help"),
        (
            ("trian",),
            "No such command 'trian'",
            "holdfast [OPTIONS]",
            "did you mean 'train', 'retrain'?",
        ),
        (("ledger", "lgo"), "No such command 'lgo'", "holdfast ledger", "ledger --help"),
        (("tune", "--workers", "x"), "'--workers'", "holdfast tune", "tune --help"),
        (("train", "now"), "extra argument", "holdfast train [OPTIONS]", "train --help"),
    ],
)
def test_what_the_parser_refuses_is_said_in_three_sentences(
    holdfast: WarmCommands, tmp_path: Path, arguments, received: str, expected: str, fix: str
) -> None:
    ended = run(holdfast, tmp_path, *arguments)
    assert (ended.code, ended.stdout) == (2, "")
    one, two, three = ended.stderr.splitlines()
    assert one.startswith("holdfast: ")
    assert received in one
    assert two.startswith(f"  expected: {expected}")
    assert three.startswith("  to fix it: ")
    assert fix in three


def test_a_group_without_a_command_shows_its_help(holdfast: WarmCommands, tmp_path: Path) -> None:
    ended = run(holdfast, tmp_path, "ledger")
    assert ended.code == 2
    assert "Usage: holdfast ledger" in ended.stdout + ended.stderr


@pytest.mark.parametrize("option", ["--text-column", "--label-column", "--group-column"])
@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_column_name_is_refused(
    holdfast: WarmCommands, tmp_path: Path, option: str, name: str
) -> None:
    (tmp_path / "mine.csv").write_text("text,label\na,b\n")
    ended = run(holdfast, tmp_path, "init", "new", "--train", "mine.csv", option, name)
    assert ended.code == 2
    assert f"an empty column name for {option[2:-7]}" in ended.stderr
    assert not (tmp_path / "new").exists()


def test_a_wrong_variable_is_named(holdfast: WarmCommands, prepared: Path) -> None:
    wrong = {"HOLDFAST_SMOKE_TEST_TIMEOUT_SECONDS": "soon"}
    ended = holdfast("train", "--json", cwd=prepared, environment=wrong)
    assert (ended.code, ended.stdout) == (2, "")
    assert "HOLDFAST_SMOKE_TEST_TIMEOUT_SECONDS=soon" in ended.stderr


def test_a_path_whose_artifacts_would_be_lost_is_refused(
    holdfast: WarmCommands, tmp_path: Path
) -> None:
    (tmp_path / "mine.csv").write_text("text,label\na,b\n")
    ended = run(holdfast, tmp_path, "init", "100%", "--train", "mine.csv")
    assert ended.code == 2
    assert "percent sign" in ended.stderr
    assert not (tmp_path / "100%").exists()


def test_init_makes_a_workspace_and_says_what_comes_next(
    holdfast: WarmCommands, tmp_path: Path
) -> None:
    lines = [json.dumps(row) + "\n" for row in sentiment_rows(20)]
    (tmp_path / "mine.jsonl").write_text("".join(lines))
    ended = run(holdfast, tmp_path, "init", "new", "--train", "mine.jsonl")
    assert (ended.code, ended.stderr) == (0, "")
    assert "holdfast train" in ended.stdout
    assert (tmp_path / "new/params.yaml").exists()


def test_prepare_counts_rows_and_prints_references_as_json(
    holdfast: WarmCommands, prepared: Path
) -> None:
    ended = run(holdfast, prepared, "prepare")
    assert ended.code == 0
    assert ended.stdout == "train: 280 rows\nvalid: 40 rows\ntest: 80 rows\ntypos: 80 rows\n"
    assert "- reproduce data" in ended.stderr
    as_json = run(holdfast, prepared, "prepare", "--json")
    assert as_json.stderr == ""
    assert as_json.printed["train"]["n_examples"] == 280
    assert as_json.printed["validation"]["success"] is True


def test_prepare_says_how_many_rows_were_set_aside_and_why() -> None:
    assert training._set_aside({}) == []
    [line] = training._set_aside({"duplicate_row": 2, "malformed_json": 1})
    assert line.endswith(": 3 rows (duplicate_row 2, malformed_json 1)")


def test_blocked_data_have_an_exit_code_of_their_own(
    holdfast: WarmCommands, prepared: Path
) -> None:
    (prepared / "data/raw/train.jsonl").write_text('{"text": "a", "label": "b"}\n' * 30)
    ended = run(holdfast, prepared, "prepare", "--json")
    assert (ended.code, ended.stdout) == (3, "")
    assert "1 label is left: b" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_raw_file_that_is_gone_is_named(holdfast: WarmCommands, prepared: Path) -> None:
    (prepared / "data/raw/train.jsonl").unlink()
    ended = run(holdfast, prepared, "train", "--json")
    assert (ended.code, ended.stdout) == (2, "")
    assert "data/raw/train.jsonl" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_lock_file_that_was_torn_is_named(holdfast: WarmCommands, prepared: Path) -> None:
    (prepared / "dvc.lock").write_text("stages: {ingest: [\n")
    ended = run(holdfast, prepared, "train", "--json")
    assert (ended.code, ended.stdout) == (2, "")
    assert "dvc.lock" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_before_the_first_training_there_is_nothing_to_tell(
    holdfast: WarmCommands, prepared: Path
) -> None:
    assert run(holdfast, prepared, "ledger", "log").stdout == "nothing was decided yet\n"
    assert run(holdfast, prepared, "ledger", "champion").stdout == "none\n"
    assert run(holdfast, prepared, "ledger", "champion", "--json").printed is None
    assert run(holdfast, prepared, "ledger", "verify").stdout == "the ledger is whole\n"
    ended = run(holdfast, prepared, "evaluate")
    assert (ended.code, ended.stdout) == (5, "")
    assert "workspace has no champion yet" in ended.stderr


def test_the_ledger_is_told_to_people_and_programs(
    holdfast: WarmCommands, trained: Trained
) -> None:
    root, _ = trained
    lines = run(holdfast, root, "ledger", "log").stdout.splitlines()
    entries = run(holdfast, root, "ledger", "log", "--json").printed
    assert len(lines) == len(entries) == 6
    for line, entry in zip(lines, entries, strict=True):
        assert f"{entry['event']}: {entry['reason']}" in line
    assert run(holdfast, root, "ledger", "verify", "--json").printed == []


def test_the_champion_of_a_time_is_told(holdfast: WarmCommands, trained: Trained) -> None:
    root, _ = trained
    assert run(holdfast, root, "ledger", "champion").stdout == "1\n"
    tomorrow, yesterday = (
        (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%d") for days in (1, -1)
    )
    assert run(holdfast, root, "ledger", "champion", "--at", tomorrow).stdout == "1\n"
    assert run(holdfast, root, "ledger", "champion", "--at", yesterday).stdout == "none\n"
    ended = run(holdfast, root, "ledger", "champion", "--at", "yesterday")
    assert (ended.code, ended.stdout) == (2, "")


def test_an_alias_that_was_moved_by_hand_is_found(holdfast: WarmCommands, trained: Trained) -> None:
    root, _ = trained
    ended = holdfast(cwd=root, task="warm_commands.remove_champion_alias")
    assert ended.code == 0, ended.stderr
    ended = run(holdfast, root, "ledger", "verify")
    assert ended.code == 1
    assert "the alias champion of workspace points to no version" in ended.stdout


def test_a_version_is_evaluated_on_the_data_of_today(
    holdfast: WarmCommands, trained: Trained
) -> None:
    root, first = trained
    ended = run(holdfast, root, "evaluate", "--version", "1", "--json")
    assert (ended.code, ended.stderr) == (0, "")
    *suites, calibration = ended.printed
    assert calibration["kind"] == "calibration"
    values = {report["suite"]: report["metrics"][0]["value"] for report in suites}
    assert values == {
        suite: first["metrics"][f"{suite}/accuracy"]["value"] for suite in ("test", "typos")
    }
    assert "accuracy" in run(holdfast, root, "evaluate").stdout.splitlines()[0]


def test_an_unknown_version_is_refused_before_any_work(
    holdfast: WarmCommands, trained: Trained
) -> None:
    ended = run(holdfast, trained[0], "evaluate", "--version", "9")
    assert (ended.code, ended.stdout) == (5, "")
    assert "there is no version 9 of workspace" in ended.stderr
    assert "- reproduce data" not in ended.stderr


def test_doctor_finds_a_workspace_well_and_a_mistake_in_it(
    holdfast: WarmCommands, prepared: Path
) -> None:
    ended = run(holdfast, prepared, "doctor", "--json")
    assert (ended.code, ended.stderr) == (0, "")
    assert ended.printed["healthy"] is True
    change_params(prepared, finetune={"epocs": 3})
    ended = run(holdfast, prepared, "doctor")
    assert ended.code == 1
    assert "did you mean 'epochs'" in ended.stdout
    assert "PROBLEM" in ended.stdout


def test_the_command_line_is_found_from_anywhere(
    holdfast: WarmCommands, trained: Trained, tmp_path: Path
) -> None:
    root, first = trained
    started = time.monotonic()
    ended = run(holdfast, tmp_path, "train", "--json", "--workspace", str(root))
    assert ended.code == 0, ended.stderr
    assert ended.printed["reused"]
    assert ended.printed["fingerprint"] == first["fingerprint"]
    assert 0 < ended.printed["seconds"] < time.monotonic() - started
    assert list(tmp_path.iterdir()) == []
