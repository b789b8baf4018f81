"""The commands that make a version: prepare, train, tune."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from flows.command_line.application import (
    AsJson,
    Directory,
    announced,
    app,
    open_workspace,
    print_result,
)
from pipeline_steps.errors import counted


@app.command()
def prepare(workspace: Directory = Path(), *, as_json: AsJson = False) -> None:
    """Bring the data up to date: ingest, validate, split, suites; unchanged stages are skipped."""
    from flows.prepare_data import prepare_data
    from flows.workspace import Workspace, locked

    opened = Workspace.open(workspace)
    with locked(opened):
        datasets = prepare_data(opened, call=announced(as_json=as_json))
    lines = [f"{d.name}: {counted(d.n_examples, 'row')}" for d in _all_datasets(datasets)]
    lines += _set_aside(datasets.validation.quarantined)
    print_result(datasets.model_dump(mode="json") if as_json else "\n".join(lines), as_json=as_json)


@app.command()
def train(
    workspace: Directory = Path(),
    *,
    prefect: Annotated[bool, typer.Option(help="Run as a Prefect flow.")] = False,
    promote: Annotated[
        bool, typer.Option(help="Without, what passes the gate stays challenger.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Fine-tune, evaluate, gate, register and, if the gate says so, promote."""
    from flows.commands.train import run_train, summarize

    result = run_train(workspace, announced=not as_json, prefect=prefect, may_promote=promote)
    if as_json:
        print_result(result.model_dump(mode="json"), as_json=True)
    else:
        print_result(summarize(open_workspace(workspace), result), as_json=False)


@app.command()
def tune(
    workspace: Directory = Path(),
    workers: Annotated[int, typer.Option(min=1, help="Processes that run trials.")] = 1,
    *,
    apply: Annotated[bool, typer.Option(help="Write the best values into params.yaml.")] = False,
    as_json: AsJson = False,
) -> None:
    """Search parameters of finetune for the best score on clean and noisy valid rows."""
    from flows.commands.tune import describe, run_tune

    result = run_tune(
        open_workspace(workspace), call=announced(as_json=as_json), n_workers=workers, apply=apply
    )
    said = result.model_dump(mode="json") if as_json else describe(result, applied=apply)
    print_result(said, as_json=as_json)


def _all_datasets(datasets: Any) -> list[Any]:
    return [datasets.train, datasets.valid, *datasets.judged]


def _set_aside(counts: dict[str, int]) -> list[str]:
    """Return a line on the rows that ingest and validate set aside, if they did."""
    reasons = ", ".join(f"{reason} {n}" for reason, n in counts.items())
    total = counted(sum(counts.values()), "row")
    return [f"set aside by ingest and validate: {total} ({reasons})"] if counts else []
