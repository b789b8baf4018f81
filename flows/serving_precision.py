"""Which precision a version answers in: the one that is wanted, or the one that ``auto`` finds."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.prepare_data import SPLITS
from flows.workspace import Workspace

if TYPE_CHECKING:
    from pipeline_steps.inference.fastest_precision import PrecisionChoice
    from pipeline_steps.inference.predictor import Predictor

Settled = tuple["Predictor", "PrecisionChoice"]


def settled(predictor: Predictor, workspace: Workspace, agreed: Path | None) -> Settled:
    """Return a predictor in the precision of ``serve.precision``, and why it is that one.

    Parameters
    ----------
    predictor : Predictor
        In fp32.
    agreed : Path or None
        A file of the version. What the first worker measures stands there, and the others follow
        it: two that measure may differ, and each would measure beside the other's work.
    """
    from pipeline_steps.inference.fastest_precision import PrecisionChoice, in_precision

    wanted = workspace.params.serve.precision
    if wanted != "auto":
        return in_precision(predictor, wanted), PrecisionChoice(wanted, "serve.precision")
    return (
        _measured(predictor, workspace)
        if agreed is None
        else _as_agreed(predictor, workspace, agreed)
    )


def _as_agreed(predictor: Predictor, workspace: Workspace, agreed: Path) -> Settled:
    from pipeline_steps.inference.fastest_precision import PrecisionChoice, in_precision

    with agreed.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        if said := file.read():
            choice = PrecisionChoice(**json.loads(said))
            return in_precision(predictor, choice.precision), choice
        predictor, choice = _measured(predictor, workspace)
        file.write(json.dumps(choice.as_dict()))
    return predictor, choice


def _measured(predictor: Predictor, workspace: Workspace) -> Settled:
    from pipeline_steps.inference.fastest_precision import fastest_equal

    return fastest_equal(predictor, _held_requests(workspace))


def _held_requests(workspace: Workspace) -> list[dict[str, Any]]:
    """Return the validation rows of the workspace as requests; none where none are prepared."""
    import pyarrow.parquet as pq

    from pipeline_steps.inference.fastest_precision import MOST_ROWS
    from pipeline_steps.problems.catalog import get_problem

    path = workspace.root / SPLITS / "valid.parquet"
    if not path.is_file():
        return []
    problem = get_problem(workspace.params.problem)
    return [problem.request(row) for row in pq.read_table(path).slice(0, MOST_ROWS).to_pylist()]
