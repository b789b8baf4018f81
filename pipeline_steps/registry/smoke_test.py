"""The registered artifact, loaded in a fresh process, must repeat recorded predictions.

``python -P -m pipeline_steps.registry.smoke_test MODEL_URI ROWS TRACKING_URI`` is that process:
nothing that training left in memory can help it, and a folder called ``mlflow`` cannot mislead it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

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
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "rows.json"
        file.write_text(json.dumps([row.model_dump() for row in rows]), encoding="utf-8")
        command = [sys.executable, "-P", "-m", __name__, model_uri, str(file), tracking_uri]
        try:
            done = subprocess.run(  # noqa: S603 - this Python, no shell
                command, capture_output=True, text=True, timeout=timeout, cwd=directory, check=False
            )
        except subprocess.TimeoutExpired:
            return SmokeResult(passed=False, reason=f"no answer within {timeout:.0f} s")
    if done.returncode != 0:
        last = done.stderr.strip()[-_SHOWN:]
        return SmokeResult(passed=False, reason=f"the artifact could not be loaded: {last}")
    answers = json.loads(done.stdout.strip().splitlines()[-1])
    return _compare(rows, answers)


def _compare(rows: Sequence[SmokeRow], answers: Sequence[dict[str, Any]]) -> SmokeResult:
    if len(answers) != len(rows):
        reason = f"{len(answers)} answers to {len(rows)} requests"
        return SmokeResult(passed=False, reason=reason)
    for number, (row, answer) in enumerate(zip(rows, answers, strict=True)):
        given = {name: answer.get(name) for name in row.answer}
        if given != row.answer or abs(answer["score"] - row.score) > _TOLERANCE:
            reason = (
                f"row {number}: answered {_shown(given)} ({answer['score']:.4f}), recorded "
                f"{_shown(row.answer)} ({row.score:.4f})"
            )
            return SmokeResult(passed=False, reason=reason)
    return SmokeResult(passed=True, reason=f"{len(rows)} recorded predictions repeated")


def _shown(answer: dict[str, Any]) -> str:
    return ", ".join(str(value) for value in answer.values())[:_SHOWN]


def _answer(model_uri: str, rows_file: str, tracking_uri: str) -> None:
    """Print the model's answers as JSON: what the fresh process does."""
    import pandas as pd

    from pipeline_steps.registry.mlflow_library import load_mlflow

    mlflow = load_mlflow()
    mlflow.set_tracking_uri(tracking_uri)
    model = mlflow.pyfunc.load_model(model_uri)
    rows = json.loads(Path(rows_file).read_text(encoding="utf-8"))
    answers = model.predict(pd.DataFrame([row["request"] for row in rows]))
    print(answers.to_json(orient="records", double_precision=15).replace("\n", " "))  # noqa: T201


if __name__ == "__main__":
    _answer(*sys.argv[1:4])
