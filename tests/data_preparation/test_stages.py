"""Stages as processes: killed, interrupted, without space or rights; the next run converges."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import rows, stage_command, write_jsonl
from permissions import obey_permissions

from pipeline_steps.data_preparation.ingest import ingest
from pipeline_steps.data_preparation.validate import validate
from pipeline_steps.digests import directory_digest
from pipeline_steps.errors import ValidationBlockedError
from pipeline_steps.params import load_params

RunStage = Callable[..., subprocess.CompletedProcess[str]]
_SMALL_BATCHES = {"batch_rows": 250}
_DEADLINE = 60.0


def workspace(root: Path, n: int = 60, **raw: Any) -> Path:
    write_jsonl(root / "raw.jsonl", [row | raw for row in rows(n)])
    params = {
        "ingest": {"sources": [{"path": "raw.jsonl"}], **_SMALL_BATCHES},
        "validate": _SMALL_BATCHES,
    }
    (root / "params.yaml").write_text(json.dumps(params))
    return root


def digests(root: Path) -> dict[str, str]:
    """Return what every stage wrote, and that nothing else lies there."""
    found = {}
    for name in ("ingested", "validated", "quarantine/ingest", "quarantine/validate"):
        if (root / "data" / name).exists():
            found[name] = directory_digest(root / "data" / name)
    assert not list((root / "data").rglob("*.partial"))
    return found


def stop_in_the_middle(root: Path, stage: str, output: str, how: signal.Signals) -> int:
    """Return the exit code of a stage that was stopped once it had begun to write."""
    left_before = set((root / "data").glob(".*.partial"))
    process = subprocess.Popen(stage_command(stage), cwd=root, stderr=subprocess.PIPE)
    deadline = time.monotonic() + _DEADLINE
    pattern = f".{output}.*.partial/examples.parquet"
    while not any(
        path.stat().st_size > 1000
        for path in (root / "data").glob(pattern)
        if path.parent not in left_before
    ):
        assert process.poll() is None, process.stderr and process.stderr.read().decode()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(how)
    _, messages = process.communicate(timeout=_DEADLINE)
    assert b"Traceback" not in messages
    return process.returncode


def test_ingest_converges_after_a_kill_and_after_ctrl_c(
    tmp_path: Path, run_stage: RunStage
) -> None:
    workspace(tmp_path, n=40_000)
    ingest(load_params(tmp_path / "params.yaml").ingest, tmp_path)
    expected = digests(tmp_path)
    assert stop_in_the_middle(tmp_path, "ingest", "ingested", signal.SIGKILL) == -signal.SIGKILL
    assert stop_in_the_middle(tmp_path, "ingest", "ingested", signal.SIGINT) == 130
    assert run_stage("ingest").returncode == 0
    assert digests(tmp_path) == expected


@pytest.mark.parametrize(
    ("how", "code"),
    [(signal.SIGKILL, -signal.SIGKILL), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)],
)
def test_validate_converges_after_it_was_stopped(
    tmp_path: Path, run_stage: RunStage, how: signal.Signals, code: int
) -> None:
    params = load_params(workspace(tmp_path, n=5_000) / "params.yaml")
    ingest(params.ingest, tmp_path)
    validate(params.validate_, params.problem, tmp_path)
    expected = digests(tmp_path)
    assert stop_in_the_middle(tmp_path, "validate", "validated", how) == code
    assert run_stage("validate").returncode == 0
    assert digests(tmp_path) == expected


def test_what_stood_there_survives_an_interrupted_run(tmp_path: Path) -> None:
    workspace(tmp_path, n=40_000)
    ingest(load_params(tmp_path / "params.yaml").ingest, tmp_path)
    before = directory_digest(tmp_path / "data/ingested")
    stop_in_the_middle(tmp_path, "ingest", "ingested", signal.SIGINT)
    assert directory_digest(tmp_path / "data/ingested") == before
    assert not list((tmp_path / "data").rglob("*.partial"))


@pytest.mark.parametrize("kilobytes", [1, 40, 150])
def test_a_full_disk_is_a_clear_error_and_leaves_nothing_half_written(
    tmp_path: Path, run_stage: RunStage, kilobytes: int
) -> None:
    workspace(tmp_path, n=8_000)
    limit = kilobytes * 1024

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    refused = run_stage("ingest", preexec_fn=fill)
    assert refused.returncode == 2
    assert "File too large" in refused.stderr
    assert "free space or mend the permissions" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert digests(tmp_path) == {}
    assert run_stage("ingest").returncode == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="root's rights are Linux's")
def test_a_read_only_directory_is_a_clear_error(tmp_path: Path, run_stage: RunStage) -> None:
    workspace(tmp_path)
    (tmp_path / "data").mkdir(mode=0o555)
    refused = run_stage("ingest", preexec_fn=obey_permissions)
    assert refused.returncode == 2
    assert "Permission denied" in refused.stderr
    assert str(tmp_path / "data") in refused.stderr
    assert "Traceback" not in refused.stderr
    (tmp_path / "data").chmod(0o755)
    assert run_stage("ingest").returncode == 0


def test_a_stage_says_what_it_did_in_one_line(tmp_path: Path, run_stage: RunStage) -> None:
    workspace(tmp_path)
    done = run_stage("ingest")
    assert (done.returncode, done.stderr) == (0, "ingest: 60 rows\n")


def test_a_refusal_is_printed_and_kept_for_the_caller(tmp_path: Path, run_stage: RunStage) -> None:
    workspace(tmp_path)
    (tmp_path / "raw.jsonl").unlink()
    refused = run_stage("ingest")
    assert refused.returncode == 2
    kept = json.loads((tmp_path / "data/refusal.json").read_text())
    assert kept["type"] == "DataError"
    assert kept["received"] in refused.stderr
    write_jsonl(tmp_path / "raw.jsonl", rows(60))
    assert run_stage("ingest").returncode == 0
    assert not (tmp_path / "data/refusal.json").exists()


def test_a_blocked_file_leaves_its_report_and_its_rows(tmp_path: Path, run_stage: RunStage) -> None:
    workspace(tmp_path, label="one")
    run_stage("ingest")
    refused = run_stage("validate")
    assert refused.returncode == ValidationBlockedError.exit_code
    assert "1 label is left: one" in refused.stderr
    assert "data/quarantine/validate/rows.parquet" in refused.stderr
    assert not json.loads((tmp_path / "data/validated/report.json").read_text())["success"]


def test_validate_without_ingest_says_what_to_run(tmp_path: Path, run_stage: RunStage) -> None:
    workspace(tmp_path)
    refused = run_stage("validate")
    assert refused.returncode == 2
    assert "examples that were ingested" in refused.stderr
    assert "holdfast prepare" in refused.stderr
