"""The commands that close the loop: retrain, simulate-traffic, deploy."""

from __future__ import annotations

from datetime import datetime
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


@app.command()
def retrain(
    workspace: Directory = Path(),
    trigger: Annotated[
        str | None, typer.Option(help="A drift ticket whose harm was confirmed.")
    ] = None,
    labelled: Annotated[
        Path | None, typer.Option(help="A file of new labelled rows, in the raw files' format.")
    ] = None,
    *,
    scheduled: Annotated[
        bool, typer.Option("--scheduled", help="Learn from the labels that came since.")
    ] = False,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Go on with triggers that never ended.")
    ] = False,
    resume: Annotated[
        str | None, typer.Option(help="Why triggers may be admitted again after failures.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make new labelled rows a dataset version, train on it, judge, promote, say if it helped."""
    from flows.commands.retrain import describe, run_retrain
    from flows.notifying import failure_told, notify, of_retrain

    opened = open_workspace(workspace)
    with failure_told(opened, "retrain"):
        results = run_retrain(
            opened,
            trigger=trigger,
            labelled=labelled,
            scheduled=scheduled,
            sweep=sweep,
            resume=resume,
            call=announced(as_json=as_json),
        )
    notify(opened, of_retrain(results))
    content = [result.model_dump(mode="json") for result in results]
    print_result(content if as_json else describe(results), as_json=as_json)


@app.command("simulate-traffic")
def simulate_traffic(  # noqa: PLR0913, PLR0917 - options
    workspace: Directory = Path(),
    drift: Annotated[
        str,
        typer.Option(
            help="recorded (as the file has it), none, abrupt, gradual, seasonal, harmless or "
            "label-only."
        ),
    ] = "recorded",
    file: Annotated[
        Path | None, typer.Option(help="Rows to play; default: the sample's later stream.")
    ] = None,
    shifted: Annotated[Path | None, typer.Option(help="Rows from after the shift.")] = None,
    phase: Annotated[
        list[str] | None, typer.Option(help="Of a file with the field phase; again for more.")
    ] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="Rows in all; else 1000.")] = None,
    start: Annotated[
        datetime | None, typer.Option(help="Time of the first row, UTC; else now.")
    ] = None,
    days: Annotated[float | None, typer.Option(min=0, help="Days that pass; else 30.")] = None,
    onset: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share before the shift; else 0.5.")
    ] = None,
    label_share: Annotated[
        float | None, typer.Option(min=0, max=1, help="Of rows with a label; else 1.")
    ] = None,
    label_hours: Annotated[float, typer.Option(min=0, help="Mean hours to a label.")] = 24.0,
    seed: Annotated[int | None, typer.Option(help="Same seed, same stream; else 0.")] = None,
    url: Annotated[str | None, typer.Option(help="Of a running service to play it at.")] = None,
    *,
    settle: Annotated[
        bool, typer.Option("--settle", help="Labels that are due after the last row come too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Play later traffic into the traffic log, faster than real time, with late labels."""
    from flows.commands.simulate_traffic import Rows, describe, stream_of
    from flows.commands.simulate_traffic import simulate_traffic as simulate

    how = {"rows": rows, "days": days, "onset": onset, "label_share": label_share, "seed": seed}
    asked = {name: value for name, value in how.items() if value is not None}
    played = simulate(
        open_workspace(workspace),
        stream_of(drift, start, label_hours=label_hours, **asked),
        Rows(file, shifted, tuple(phase or ())),
        url=url,
        settle=settle,
        label_hours=label_hours,
    )
    print_result(played.model_dump(mode="json") if as_json else describe(played), as_json=as_json)


@app.command()
def deploy(
    workspace: Directory = Path(),
    monitor: Annotated[
        str, typer.Option(help="When to monitor: cron in UTC, or never.")
    ] = "*/15 * * * *",
    retrain: Annotated[
        str, typer.Option(help="When to retrain whatever happens: cron in UTC, or never.")
    ] = "7 3 * * 1",
    pool: Annotated[str, typer.Option(help="Work pool; made for processes if missing.")] = (
        "holdfast"
    ),
    *,
    as_json: AsJson = False,
) -> None:
    """Put monitor, retrain and promote on a Prefect server, with schedules and the drift event."""
    from flows.commands.deploy import deploy as put

    names = put(open_workspace(workspace), monitor=monitor, retrain=retrain, pool=pool)
    lines = [f"deployed {name}" for name in names]
    lines.append(f"next: prefect worker start --pool {pool}")
    print_result(names if as_json else "\n".join(lines), as_json=as_json)
