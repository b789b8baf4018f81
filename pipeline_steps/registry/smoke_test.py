"""The registered artifact, loaded in a fresh process, must repeat recorded predictions.

Nothing that training left in memory can help it, the code that answers is the artifact's own, and a
folder called ``mlflow`` cannot mislead it.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from pipeline_steps.registry.mlflow_library import without_password
from pipeline_steps.registry.smoke_answer import ANSWERS, REQUEST

_SCRIPT = Path(__file__).with_name("smoke_answer.py")
_LOG = "stderr.txt"
_TOLERANCE = 1e-3
_SHOWN = 400


class SmokeRow(BaseModel):
    """A request with the answer that was recorded for it, and the confidence in it."""

    model_config = ConfigDict(frozen=True)

    request: dict[str, Any]
    answer: dict[str, Any]
    score: float


class SmokeResult(BaseModel):
    """Whether the artifact answered as recorded."""

    model_config = ConfigDict(frozen=True)

    passed: bool
    reason: str


def smoke_test(
    model_uri: str, rows: Sequence[SmokeRow], tracking_uri: str, *, timeout: float = 300.0
) -> SmokeResult:
    """Return whether a registered model, loaded in a fresh process, repeats recorded answers.

    Parameters
    ----------
    model_uri : str
        For example ``models:/name/3``.
    rows : sequence of SmokeRow
        Answers must be equal, scores within 0.001.
    tracking_uri : str
        Where the registry is.
    timeout : float
        Seconds after which the process is ended and the test has failed.
    """
    if not rows:
        return SmokeResult(passed=False, reason="no recorded prediction to compare with")
    # Only this user may enter the directory: an address may hold a password, and a list of
    # processes would show it among the arguments.
    with tempfile.TemporaryDirectory(prefix="holdfast-smoke-") as name:
        directory = Path(name)
        request = {
            "model_uri": model_uri,
            "tracking_uri": tracking_uri,
            "rows": [row.request for row in rows],
        }
        (directory / REQUEST).write_text(json.dumps(request), encoding="utf-8")
        code = _run(directory, timeout)
        if code is None:
            return SmokeResult(passed=False, reason=f"no answer within {timeout:g} s")
        if code != 0:
            last = (directory / _LOG).read_text(encoding="utf-8", errors="replace").strip()
            reason = f"the artifact could not be loaded and asked: {last[-_SHOWN:]}"
            return SmokeResult(passed=False, reason=without_password(reason, tracking_uri))
        return _compare(rows, json.loads((directory / ANSWERS).read_text(encoding="utf-8")))


def _run(directory: Path, timeout: float) -> int | None:
    """Return the exit code of the fresh process, or ``None`` if it was ended for its slowness."""
    with (directory / _LOG).open("wb") as log:
        # -B: a model that lies on this machine is imported where it lies, and stays as it is.
        process = subprocess.Popen(  # noqa: S603 - this Python, no shell
            [sys.executable, "-B", "-P", str(_SCRIPT), str(directory)],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,  # so that what it starts ends with it
        )
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _compare(rows: Sequence[SmokeRow], answers: Sequence[dict[str, Any]]) -> SmokeResult:
    if len(answers) != len(rows):
        reason = f"{len(answers)} answers to {len(rows)} requests"
        return SmokeResult(passed=False, reason=reason)
    for number, (row, answer) in enumerate(zip(rows, answers, strict=True)):
        given = {name: answer.get(name) for name in row.answer}
        score = math.nan if answer["score"] is None else answer["score"]  # JSON knows no NaN
        # "not within" and not "beyond": a score that is no number is never within.
        if given != row.answer or not abs(score - row.score) <= _TOLERANCE:
            reason = (
                f"row {number}: answered {_shown(given)} ({score:.4f}), recorded "
                f"{_shown(row.answer)} ({row.score:.4f})"
            )
            return SmokeResult(passed=False, reason=reason)
    return SmokeResult(passed=True, reason=f"{len(rows)} recorded predictions repeated")


def _shown(answer: dict[str, Any]) -> str:
    return ", ".join(str(value) for value in answer.values())[:_SHOWN]
