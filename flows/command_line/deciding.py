"""The commands about decisions: gate, judge, ledger."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

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

ledger = typer.Typer(help="What was decided, by whom and why.", no_args_is_help=True)
app.add_typer(ledger, name="ledger")


@app.command()
def gate(
    candidate: Annotated[
        str, typer.Option(help="A version, models:/NAME@ALIAS, or a run's id or URI.")
    ],
    workspace: Directory = Path(),
    evidence: Annotated[
        Path | None, typer.Option(help="Directory of evidence; default: that of the run.")
    ] = None,
    summary: Annotated[
        Path | None, typer.Option(help="File that the table is appended to, as Markdown.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Recompute the verdict: exit with 0 PROMOTE, 10 HOLD, 11 REJECT, 12 INCONCLUSIVE."""
    from flows.commands.gate import EXIT_CODES, lines, markdown, regate

    found = regate(open_workspace(workspace), candidate, evidence)
    if summary is not None:
        with summary.open("a", encoding="utf-8") as file:
            file.write(markdown(found) + "\n")
    print_result(found.model_dump(mode="json") if as_json else lines(found), as_json=as_json)
    raise typer.Exit(EXIT_CODES[found.verdict])


@app.command()
def judge(
    version: Annotated[int, typer.Argument(min=1, help="Number of a registered version.")],
    workspace: Directory = Path(),
    *,
    promote: Annotated[
        bool, typer.Option(help="Without, what passes the gate stays challenger.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Judge a registered version on what is known today; promote it if the gate says so."""
    from flows.commands.train import summarize
    from flows.judge_version import judge_version

    opened = open_workspace(workspace)
    result = judge_version(opened, version, call=announced(as_json=as_json), may_promote=promote)
    print_result(
        result.model_dump(mode="json") if as_json else summarize(opened, result), as_json=as_json
    )


@ledger.command("log")
def ledger_log(workspace: Directory = Path(), *, as_json: AsJson = False) -> None:
    """Print every entry, oldest first."""
    from flows.commands.ledger import log

    entries = log(open_workspace(workspace))
    lines = [f"{e['created_at'][:19]}  {e['actor']}  {e['event']}: {e['reason']}" for e in entries]
    print_result(
        entries if as_json else "\n".join(lines) or "nothing was decided yet", as_json=as_json
    )


@ledger.command("verify")
def ledger_verify(
    workspace: Directory = Path(),
    export: Annotated[Path | None, typer.Option(help="A copy to hold it against.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Check the chain of hashes, its anchors in MLflow, and where the aliases point."""
    from flows.commands.ledger import verify

    problems = verify(open_workspace(workspace), export)
    print_result(
        problems if as_json else "\n".join(problems) or "the ledger is whole", as_json=as_json
    )
    raise typer.Exit(1 if problems else 0)


@ledger.command("export")
def ledger_export(
    file: Annotated[Path, typer.Argument(help="JSON Lines; replaced if it exists.")],
    workspace: Directory = Path(),
) -> None:
    """Copy every entry into a file; keep it where who can write the ledger cannot."""
    from flows.commands.ledger import export_entries

    n = export_entries(open_workspace(workspace), file)
    print_result(f"{counted(n, 'line')} written to {file}", as_json=False)


@ledger.command("follow")
def ledger_follow(workspace: Directory = Path()) -> None:
    """Set MLflow's aliases as the ledger says: after a kill, or where one was moved by hand."""
    from flows.registry_access import follow_ledger

    version = follow_ledger(open_workspace(workspace))
    found = "there is no champion" if version is None else f"champion: version {version}"
    print_result(found, as_json=False)


@ledger.command("champion")
def ledger_champion(
    workspace: Directory = Path(),
    at: Annotated[datetime | None, typer.Option(help="A time, UTC; default: now.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Print the version that is champion, or was at a time."""
    from flows.commands.ledger import champion

    version = champion(open_workspace(workspace), None if at is None else at.replace(tzinfo=UTC))
    print_result(version if as_json else str(version or "none"), as_json=as_json)
