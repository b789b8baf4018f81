"""``holdfast``: a thin command line over the flows; every command works without a server."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.pipeline import Call, announcing, call_directly, say
from flows.storage_errors import explained_storage_errors
from flows.threads import wait_policy
from pipeline_steps.errors import HoldfastError

if TYPE_CHECKING:
    from flows.workspace import Workspace

app = typer.Typer(
    name="holdfast",
    help="Fine-tunes language models and keeps them steady.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
_INTERRUPTED = 130
_ENVIRONMENT = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}
Directory = Annotated[Path, typer.Option("--workspace", "-w", help="The workspace.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one machine-readable object.")]


def main() -> None:
    """Run the command line; a refusal prints its three sentences and exits non-zero."""
    _settle_environment()
    try:
        with explained_storage_errors():
            app()
    except HoldfastError as error:
        say(f"holdfast: {error}")
        sys.exit(error.exit_code)
    except SystemExit as stop:  # what the parser makes of an interrupt
        if stop.code == _INTERRUPTED:
            clear = "\n" if sys.stderr.isatty() else ""  # the terminal has echoed ^C
            say(f"{clear}holdfast: interrupted; the same command goes on from here")
        raise


@app.command()
def demo(
    workspace: Directory = Path(),
    *,
    prefect: Annotated[bool, typer.Option(help="Run as a Prefect flow.")] = True,
) -> None:
    """Generate the sample corpus, train, judge, register and promote; then show where all is."""
    from flows.commands.demo import run_demo

    typer.echo(run_demo(workspace, prefect=prefect))


@app.command()
def doctor(workspace: Directory = Path(), *, as_json: AsJson = False) -> None:
    """Say what is installed, which device and URIs are used, what is missing and how to mend it."""
    from flows.commands.doctor import diagnose, render

    diagnosis = diagnose(workspace)
    _print(diagnosis.model_dump(mode="json") if as_json else render(diagnosis), as_json=as_json)
    raise typer.Exit(0 if diagnosis.healthy else 1)


@app.command()
def init(  # noqa: PLR0913, PLR0917 - one option a column
    directory: Annotated[Path, typer.Argument(help="The new workspace.")],
    train: Annotated[Path, typer.Option(help="Labelled rows to learn from.")],
    problem: Annotated[str, typer.Option(help="What the model is for.")] = "text_classification",
    valid: Annotated[Path | None, typer.Option(help="Rows for early stopping.")] = None,
    test: Annotated[Path | None, typer.Option(help="Rows to judge on.")] = None,
    suite: Annotated[list[str] | None, typer.Option(help="NAME=FILE, a shift suite.")] = None,
    text_column: Annotated[str | None, typer.Option()] = None,
    label_column: Annotated[str | None, typer.Option()] = None,
    text_pair_column: Annotated[str | None, typer.Option()] = None,
    id_column: Annotated[str | None, typer.Option()] = None,
    timestamp_column: Annotated[str | None, typer.Option()] = None,
    domain_column: Annotated[str | None, typer.Option()] = None,
    group_column: Annotated[str | None, typer.Option()] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="FIELD=NAME for any other field of ingest.columns.")
    ] = None,
    *,
    force: Annotated[bool, typer.Option(help="Accept a directory that is not empty.")] = False,
) -> None:
    """Make a workspace from your own file: raw data, params.yaml, dvc.yaml."""
    from flows.commands.init import init_workspace
    from flows.commands.raw_columns import named_columns

    columns = {
        **named_columns(column or []),
        "text": text_column,
        "label": label_column,
        "text_pair": text_pair_column,
        "id": id_column,
        "timestamp": timestamp_column,
        "domain": domain_column,
        "group": group_column,
    }
    files = {"train": train, "valid": valid, "test": test}
    message = init_workspace(
        directory, problem=problem, files=files, suites=suite or [], columns=columns, force=force
    )
    typer.echo(message)


@app.command()
def prepare(workspace: Directory = Path(), *, as_json: AsJson = False) -> None:
    """Bring the data up to date: ingest, validate, split, suites; unchanged stages are skipped."""
    from flows.prepare_data import prepare_data
    from flows.workspace import Workspace, locked

    opened = Workspace.open(workspace)
    with locked(opened):
        datasets = prepare_data(opened, call=_announced(as_json=as_json))
    _print(
        datasets.model_dump(mode="json")
        if as_json
        else "\n".join(f"{d.name}: {d.n_examples} rows" for d in _all_datasets(datasets)),
        as_json=as_json,
    )


@app.command()
def train(
    workspace: Directory = Path(),
    *,
    prefect: Annotated[bool, typer.Option(help="Run as a Prefect flow.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fine-tune, evaluate, gate, register and, if the gate says so, promote."""
    from flows.commands.train import run_train, summarize

    result = run_train(workspace, announced=not as_json, prefect=prefect)
    if as_json:
        _print(result.model_dump(mode="json"), as_json=True)
    else:
        _print(summarize(_open(workspace), result), as_json=False)


@app.command()
def evaluate(
    workspace: Directory = Path(),
    version: Annotated[int | None, typer.Option(help="Default: the champion.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Score a registered version on today's test set and suites; nothing is promoted."""
    from flows.commands.evaluate import evaluate_version, lines

    reports = evaluate_version(_open(workspace), version, call=_announced(as_json=as_json))
    content = [report.model_dump(mode="json") for report in reports]
    _print(content if as_json else lines(reports), as_json=as_json)


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
        _open(workspace), call=_announced(as_json=as_json), n_workers=workers, apply=apply
    )
    _print(result.model_dump(mode="json") if as_json else describe(result), as_json=as_json)


ledger = typer.Typer(help="What was decided, by whom and why.", no_args_is_help=True)
app.add_typer(ledger, name="ledger")


@ledger.command("log")
def ledger_log(workspace: Directory = Path(), *, as_json: AsJson = False) -> None:
    """Print every entry, oldest first."""
    from flows.commands.ledger import log

    entries = log(_open(workspace))
    lines = [f"{e['created_at'][:19]}  {e['actor']}  {e['event']}: {e['reason']}" for e in entries]
    _print(entries if as_json else "\n".join(lines) or "nothing was decided yet", as_json=as_json)


@ledger.command("verify")
def ledger_verify(workspace: Directory = Path(), *, as_json: AsJson = False) -> None:
    """Check the chain of hashes, and that the alias points where the ledger says."""
    from flows.commands.ledger import verify

    problems = verify(_open(workspace))
    _print(problems if as_json else "\n".join(problems) or "the ledger is whole", as_json=as_json)
    raise typer.Exit(1 if problems else 0)


@ledger.command("champion")
def ledger_champion(
    workspace: Directory = Path(),
    at: Annotated[datetime | None, typer.Option(help="A time, UTC; default: now.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Print the version that is champion, or was at a time."""
    from flows.commands.ledger import champion

    version = champion(_open(workspace), None if at is None else at.replace(tzinfo=UTC))
    _print(version if as_json else str(version or "none"), as_json=as_json)


def _settle_environment() -> None:
    """Say, before any library is imported that reads it, what the user has not decided.

    No library of the stack sends anything home, and threads share busy cores without spinning.
    """
    for name, value in {**_ENVIRONMENT, **wait_policy(os.getloadavg()[0])}.items():
        os.environ.setdefault(name, value)


def _open(workspace: Path) -> Workspace:
    from flows.workspace import Workspace

    return Workspace.open(workspace)


def _announced(*, as_json: bool = False) -> Call:
    return call_directly if as_json else announcing(call_directly, say)


def _all_datasets(datasets: Any) -> list[Any]:
    return [datasets.train, datasets.valid, *datasets.judged]


def _print(value: Any, *, as_json: bool) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False) if as_json else value)
