"""``holdfast train`` killed and interrupted everywhere: the next run ends as an undisturbed one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from warm_commands import Ended, WarmCommands

from flows.dvc_locks import remove_dead_locks
from flows.tethered import tethered
from flows.workspace import Workspace, locked
from pipeline_steps.digests import directory_digest

HOLDFAST = str(Path(sys.executable).with_name("holdfast"))
STAGES = ("ingest", "validate", "split", "suites")
Trained = tuple[Path, dict[str, Any]]
_DEADLINE = 120.0
_WITHOUT_DVC = {"skip": ["reproduce_data"]}
"""Stages are killed below; a DVC that finds nothing to do takes seconds in each of many runs."""


def until_it_ends(
    holdfast: WarmCommands, root: Path, points: Path, **stops: Any
) -> Iterator[Ended]:
    """Yield the runs that were each stopped at a new point, and the one that came to its end."""
    for _ in range(100):
        ended = holdfast("train", "--json", cwd=root, stops=points, **stops, **_WITHOUT_DVC)
        yield ended
        if ended.code == 0:
            return
    raise AssertionError(f"no end after {points.read_text()}")


def assert_converged(holdfast: WarmCommands, root: Path, printed: Any, undisturbed: Any) -> None:
    """Check that a run ended as the undisturbed one: same numbers, everything once."""
    same = ("fingerprint", "version", "verdict", "metrics", "report")
    assert {name: printed[name] for name in same} == {name: undisturbed[name] for name in same}
    assert Path(printed["report"]).exists()
    records = holdfast.records(root)
    assert records["problems"] == []
    assert records["aliases"] == {"champion": 1}
    assert list(records["versions"]) == ["1"]
    [run] = records["runs"]
    assert run["status"] == "FINISHED"
    assert set(run["inputs"]) == {"train", "valid", "test", "typos"}
    assert run["params"]["finetune.epochs"] == "2"
    counts = Counter(entry["event"] for entry in records["ledger"])
    assert counts.pop("promotion_intent") >= 1
    assert counts == dict.fromkeys(
        ("evaluation_set", "gate_verdict", "registered", "champion_moved", "promotion_confirmed"), 1
    )
    assert not list((root / ".holdfast").rglob("*.partial"))


def test_a_run_killed_after_every_step_and_every_write_converges(
    holdfast: WarmCommands, trained: Trained, prepared: Path, tmp_path: Path
) -> None:
    undisturbed = trained[1]
    points = tmp_path / "points"
    *killed, last = until_it_ends(holdfast, prepared, points)
    assert {ended.code for ended in killed} == {-signal.SIGKILL}
    assert_converged(holdfast, prepared, last.printed, undisturbed)
    passed = {line.partition(" ")[0] for line in points.read_text().splitlines()}
    steps = {"finetune_model", "predict_suites", "judge", "register_version", "promote_version"}
    writes = {"Tracker.register", "Tracker.finish_run", "Ledger.move_champion", "training_step"}
    writes.add("create_all")  # in the middle of making MLflow's tables
    assert steps | writes <= passed


@pytest.mark.slow
def test_a_run_interrupted_in_every_step_says_so_and_converges(
    holdfast: WarmCommands, trained: Trained, prepared: Path, tmp_path: Path
) -> None:
    undisturbed = trained[1]
    only = ["training_step", "predict_suites", "Tracker.log_model", "Ledger.move_champion"]
    runs = until_it_ends(holdfast, prepared, tmp_path / "points", how=signal.SIGINT, only=only)
    first = next(runs)
    assert holdfast.records(prepared)["runs"][0]["status"] == "KILLED"  # and not RUNNING for ever
    interrupted = [first, *runs]
    last = interrupted.pop()
    assert len(interrupted) >= len(only)
    for ended in interrupted:
        assert (ended.code, ended.stdout) == (130, "")
        assert ended.stderr == "holdfast: interrupted; the same command goes on from here\n"
    assert_converged(holdfast, prepared, last.printed, undisturbed)


@pytest.mark.slow
def test_ctrl_c_in_the_smoke_test_ends_the_process_that_it_started(
    holdfast: WarmCommands, trained: Trained, prepared: Path
) -> None:
    ended = holdfast(
        "train", "--json", cwd=prepared, during="promote_version", fresh=True, **_WITHOUT_DVC
    )
    assert ended.code == 130
    assert ended.stderr == "holdfast: interrupted; the same command goes on from here\n"
    wait_until(lambda: not session(ended.pid))
    assert holdfast.records(prepared)["aliases"] == {"challenger": 1}
    last = holdfast("train", "--json", cwd=prepared, **_WITHOUT_DVC)
    assert_converged(holdfast, prepared, last.printed, trained[1])


def session(leader: int) -> list[str]:
    """Return the commands of the processes that a session leader started and that still run."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "status"]):
        try:
            ours = os.getsid(process.pid) == leader
        except ProcessLookupError:
            continue
        if ours and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(" ".join(process.info["cmdline"] or ()))
    return found


def stage_processes(root: Path) -> list[psutil.Process]:
    """Return the DVC and stage processes whose working directory is ``root``."""
    found = []
    for process in psutil.process_iter(["cwd", "cmdline", "status"]):
        words = " ".join(process.info["cmdline"] or ())
        if process.info["cwd"] == str(root) and (" dvc " in words or "data_preparation" in words):
            found.append(process)
    return found


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + _DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def data_digests(root: Path) -> dict[str, str]:
    names = ("ingested", "validated", "splits", "suites", "quarantine")
    return {name: directory_digest(root / "data" / name) for name in names}


def remove_data(root: Path) -> None:
    """Let every stage run again: outputs, lock and DVC's memory of earlier runs are removed."""
    for name in ("data/ingested", "data/validated", "data/splits", "data/suites", ".dvc/cache"):
        shutil.rmtree(root / name, ignore_errors=True)
    shutil.rmtree(root / "data/quarantine", ignore_errors=True)
    (root / "dvc.lock").unlink()


def stop_in_stage(root: Path, stage: str, how: signal.Signals) -> tuple[int, str]:
    """Return how ``holdfast prepare`` ended that was stopped while a stage ran."""
    process = subprocess.Popen(
        [HOLDFAST, "prepare"], cwd=root, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )  # fmt: skip

    def runs() -> bool:
        assert process.poll() is None, process.communicate()
        return any(p.info["cmdline"][-1] == stage for p in stage_processes(root))

    wait_until(runs)
    process.send_signal(how)
    _, messages = process.communicate(timeout=_DEADLINE)
    return process.returncode, messages


@pytest.mark.parametrize(
    "how",
    [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)],
    ids=["killed", "interrupted"],
)
def test_stages_stopped_one_after_the_other_converge_and_leave_no_process(
    holdfast: WarmCommands, prepared: Path, how: signal.Signals
) -> None:
    expected = data_digests(prepared)
    remove_data(prepared)
    for stage in STAGES:
        code, messages = stop_in_stage(prepared, stage, how)
        assert code == (-signal.SIGKILL if how == signal.SIGKILL else 130)
        assert "Traceback" not in messages
        wait_until(lambda: not stage_processes(prepared))
    ended = holdfast("prepare", cwd=prepared)
    assert ended.code == 0, ended.stderr
    assert data_digests(prepared) == expected


def test_an_interrupt_of_a_stage_is_one_line(prepared: Path) -> None:
    remove_data(prepared)
    code, messages = stop_in_stage(prepared, "ingest", signal.SIGINT)
    assert code == 130
    assert messages.splitlines() == [
        *("- reproduce data", "holdfast: interrupted; the same command goes on from here")
    ]
    wait_until(lambda: not stage_processes(prepared))


def rwlock(root: Path, content: str) -> Path:
    file = root / ".dvc/tmp/rwlock"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    return file


@pytest.mark.parametrize(
    "content",
    [
        '{"write": {"data/ingested": {"pid": 1, "cmd": "dvc repro"}}}',
        '{"read": {"data/ingested": [{"pid": 1, "cmd": "dvc repro"}]}}',
        '{"write": {"data/ing',
        "[]",
    ],
    ids=["number used by another program", "number of a reader", "torn", "no record"],
)
def test_locks_that_a_killed_dvc_left_are_removed(tmp_path: Path, content: str) -> None:
    record = rwlock(tmp_path, content)
    remove_dead_locks(tmp_path)
    assert not record.exists()


def test_locks_of_a_living_dvc_stay(tmp_path: Path) -> None:
    code = "import time; print(flush=True); time.sleep(600)"
    command = [sys.executable, "-c", code, "dvc", "repro"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        holder = {"pid": process.pid, "cmd": "dvc repro"}
        record = rwlock(tmp_path, json.dumps({"write": {"data/ingested": holder}}))
        remove_dead_locks(tmp_path)
        process.kill()
    assert record.exists()


@pytest.mark.slow
def test_a_torn_lock_does_not_stop_the_next_run(holdfast: WarmCommands, prepared: Path) -> None:
    remove_data(prepared)
    rwlock(prepared, '{"write": {"data/ing')
    ended = holdfast("prepare", cwd=prepared)
    assert ended.code == 0, ended.stderr


def test_a_second_command_at_once_is_refused(holdfast: WarmCommands, prepared: Path) -> None:
    with locked(Workspace.open(prepared)):
        refused = holdfast("train", "--json", cwd=prepared)
    assert (refused.code, refused.stdout) == (2, "")
    assert f"another holdfast command is at work in {prepared}" in refused.stderr
    assert "wait until it has finished" in refused.stderr


def test_what_a_process_started_ends_when_it_is_killed(tmp_path: Path) -> None:
    """Grandchildren too, and at once: nothing has to be run again for that."""
    code = (
        "import sys, time; from pathlib import Path; from flows.tethered import tethered\n"
        'inner = \'import subprocess, sys; subprocess.call(["sleep", "600"])\'\n'
        "with tethered([sys.executable, '-c', inner], cwd=Path.cwd(), env={}) as process:\n"
        "    print(process.pid, flush=True)\n    time.sleep(600)\n"
    )
    asking = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE)
    assert asking.stdout is not None
    leader = int(asking.stdout.readline())
    wait_until(lambda: any(words.startswith("sleep") for words in session(leader)))
    asking.kill()
    asking.communicate()
    wait_until(lambda: not session(leader))


def test_what_was_started_ends_with_the_block_and_its_words_are_read(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo said; echo failed >&2; exit 7"]
    with tethered(command, cwd=tmp_path, env=os.environ) as process:
        assert list(process.stdout or ()) == ["said\n", "failed\n"]
    assert process.returncode == 7
    with tethered(["sleep", "600"], cwd=tmp_path, env=os.environ) as process:
        pass
    assert process.returncode == -signal.SIGKILL
    assert session(process.pid) == []
