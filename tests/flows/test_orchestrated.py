"""The flows as Prefect runs them: visible tasks, artifacts, failures that say why."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from tiny_workspaces import make_workspace
from warm_commands import WarmCommands

HOLDFAST = str(Path(sys.executable).with_name("holdfast"))
TASKS = [
    *("reproduce data", "read datasets", "plan training", "find finished", "start run"),
    *("finetune model", "predict suites", "attack suites", "evaluate suites", "evaluate attacks"),
    *("bound rows", "compare with champion", "summarise attacks", "explain failures"),
    *("weigh beside", "collect evidence", "judge", "register version", "promote version"),
    *("write report", "finish run"),
]
REUSED = [*TASKS[:4], "follow ledger"]


@pytest.fixture(scope="session")
def seen(holdfast: WarmCommands, tiny_base: Path, tmp_path_factory) -> dict[str, Any]:
    """Return what a server knows of four flow runs: prepare, train, train again, fail."""
    root = make_workspace(tmp_path_factory.mktemp("prefect") / "workspace", tiny_base)
    ended = holdfast(cwd=root, task="prefect_runs.show_flow_runs")
    assert ended.code == 0, ended.stderr
    return {**ended.printed, "said": ended.stderr, "root": root}


def tasks_of(seen: dict[str, Any], number: int) -> list[dict[str, Any]]:
    """Return the task runs of a flow run in the order in which they started."""
    flow_run = seen["flow_runs"][number]["id"]
    found = [task for task in seen["task_runs"] if task["flow_run"] == flow_run]
    return sorted(found, key=lambda task: task["start"])


def artifact(seen: dict[str, Any], number: int, key: str) -> str:
    flow_run = seen["flow_runs"][number]["id"]
    [text] = [a["text"] for a in seen["artifacts"] if (a["key"], a["flow_run"]) == (key, flow_run)]
    return str(text)


def test_flows_return_what_the_plain_functions_return(seen: dict[str, Any]) -> None:
    assert seen["datasets"] == ["train", "valid", "test", "typos"]
    assert (seen["result"]["version"], seen["result"]["verdict"]) == (1, "PROMOTE")
    assert not seen["result"]["reused"]
    again = seen["again"]
    assert again == {**seen["result"], "reused": True, "seconds": again["seconds"]}


def test_every_step_is_a_task_with_its_name(seen: dict[str, Any]) -> None:
    names = [[task["title"] for task in tasks_of(seen, number)] for number in range(3)]
    assert names == [TASKS[:2], TASKS, REUSED]
    assert {task["state"] for task in tasks_of(seen, 1)} == {"COMPLETED"}


def test_flow_runs_have_their_names_and_states(seen: dict[str, Any]) -> None:
    runs = [(run["name"], run["state"]) for run in seen["flow_runs"]]
    assert runs == [
        *(("prepare_data", "COMPLETED"), ("train", "COMPLETED")),
        *(("train", "COMPLETED"), ("train", "FAILED")),
    ]


def test_only_calls_to_the_tracking_server_are_tried_again(seen: dict[str, Any]) -> None:
    retries = {task["title"]: task["retries"] or 0 for task in seen["task_runs"]}
    assert {title: n for title, n in retries.items() if n} == {"find finished": 2, "start run": 2}


def test_no_result_is_taken_from_a_cache(seen: dict[str, Any]) -> None:
    assert {task["cache_key"] for task in seen["task_runs"]} == {None}


def test_the_validation_artifact_counts_rows(seen: dict[str, Any]) -> None:
    for number in (0, 1):
        text = artifact(seen, number, "validation")
        assert text.startswith("## Validation passed\n\n| rows | count |\n| --- | --- |\n")
        assert "| kept | 400 |" in text


def test_the_metrics_artifact_shows_values_with_intervals(seen: dict[str, Any]) -> None:
    metric = seen["result"]["metrics"]["test/accuracy"]
    value = "{value:.3f} [{ci_low:.3f}, {ci_high:.3f}]".format(**metric)
    assert f"| test | accuracy | {value} | 80 |" in artifact(seen, 1, "metrics")


def test_the_decision_artifact_shows_the_verdict_and_every_check(seen: dict[str, Any]) -> None:
    text = artifact(seen, 1, "decision")
    assert text.startswith("## PROMOTE\n\n- ")
    assert "| floor test/accuracy | yes |" in text


def test_the_report_is_linked_where_it_was_written_and_where_it_is_found_again(seen) -> None:
    for number in (1, 2):
        text = artifact(seen, number, "report")
        assert f"[The report]({Path(seen['result']['report']).as_uri()})" in text


def test_a_failing_step_fails_the_flow_with_the_error_of_the_step(seen: dict[str, Any]) -> None:
    assert "expected: sha256 0000" in seen["refusal"]
    failed = seen["flow_runs"][3]
    assert "CheckpointError" in failed["message"]
    assert seen["refusal"].splitlines()[0] in failed["message"]
    states = {task["title"]: task["state"] for task in tasks_of(seen, 3)}
    assert states == {
        "reproduce data": "COMPLETED",
        "read datasets": "COMPLETED",
        "plan training": "FAILED",
    }


def test_steps_are_announced_where_that_was_asked_for(seen: dict[str, Any]) -> None:
    announced = [line for line in seen["said"].splitlines() if line.startswith("- ")]
    assert announced == [f"- {title}" for title in TASKS]


@pytest.mark.slow
def test_the_command_line_runs_the_flow_and_prints_one_object(
    holdfast: WarmCommands, prepared: Path, tmp_path: Path
) -> None:
    """No server, no set address: Prefect's temporary one, whose words stay off the terminal."""
    ended = holdfast(
        "train", "--prefect", "--json", cwd=prepared, environment={"PREFECT_HOME": tmp_path}
    )
    assert ended.code == 0, ended.stderr
    assert ended.printed["verdict"] == "PROMOTE"
    assert ended.stderr == ""


@pytest.mark.slow
def test_a_refusal_under_prefect_is_three_lines(
    holdfast: WarmCommands, prepared: Path, tmp_path: Path
) -> None:
    (prepared / "data/raw/train.jsonl").write_text('{"text": "a", "label": "b"}\n' * 30)
    ended = holdfast("train", "--prefect", cwd=prepared, environment={"PREFECT_HOME": tmp_path})
    assert ended.code == 3
    assert "Traceback" not in ended.stderr
    assert "holdfast: the data were refused" in ended.stderr
    assert list(tmp_path.iterdir())  # Prefect was there


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_a_command_that_is_stopped_leaves_no_server_and_goes_on(
    holdfast: WarmCommands, prepared: Path, tmp_path: Path, how: signal.Signals
) -> None:
    """Ctrl-C reaches every process in the terminal's foreground, so all of the group get it."""
    process = subprocess.Popen(
        [HOLDFAST, "train", "--prefect"], cwd=prepared, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PREFECT_HOME": str(tmp_path)},
    )  # fmt: skip
    assert process.stderr is not None
    assert any(line == "- finetune model\n" for line in process.stderr)
    servers = [p for p in psutil.Process(process.pid).children(recursive=True) if is_server(p)]
    assert servers
    os.killpg(process.pid, how)
    _, messages = process.communicate(timeout=120)
    assert process.returncode == (-signal.SIGKILL if how == signal.SIGKILL else 130)
    assert "Traceback" not in messages
    if how == signal.SIGINT:
        assert messages.splitlines()[-1].startswith("holdfast: interrupted")
    gone, alive = psutil.wait_procs(servers, timeout=60)
    assert gone
    assert not alive
    ended = holdfast("train", "--json", cwd=prepared, skip=["reproduce_data"])
    assert ended.code == 0, ended.stderr
    assert ended.printed["verdict"] == "PROMOTE"


def is_server(process: psutil.Process) -> bool:
    return "prefect.server.api.server:create_app" in process.cmdline()
