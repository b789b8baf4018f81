"""The commands that move the champion: promote, approve, refuse, rollback."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.command_line.application import (
    AsJson,
    Directory,
    app,
    open_workspace,
    print_result,
)

Version = Annotated[int, typer.Argument(min=1, help="Number of a registered version.")]


@app.command()
def promote(
    version: Version,
    workspace: Directory = Path(),
    reason: Annotated[str | None, typer.Option(help="Why, with --override.")] = None,
    *,
    override: Annotated[bool, typer.Option(help="Whatever the gate said.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a version champion on the gate's verdict in the ledger; smoke-tested first."""
    from flows.commands.champion import override_reason, promote_by_hand, promotion_lines

    why = override_reason(override=override, reason=reason)
    done = promote_by_hand(open_workspace(workspace), version, override=why)
    print_result(
        done.model_dump(mode="json") if as_json else promotion_lines(done), as_json=as_json
    )


By = Annotated[str | None, typer.Option(help="Who answers; default: HOLDFAST_ACTOR.")]


@app.command()
def approve(
    version: Version,
    workspace: Directory = Path(),
    by: By = None,
    reason: Annotated[str, typer.Option(help="The ledger keeps it.")] = "approved by hand",
    *,
    as_json: AsJson = False,
) -> None:
    """Let a version that passed the gate and waits for a person become champion."""
    from flows.commands.champion import approve_version, promotion_lines

    done = approve_version(open_workspace(workspace), version, by, reason)
    print_result(
        done.model_dump(mode="json") if as_json else promotion_lines(done), as_json=as_json
    )


@app.command()
def refuse(
    version: Version,
    workspace: Directory = Path(),
    by: By = None,
    reason: Annotated[str, typer.Option(help="The ledger keeps it.")] = "refused by hand",
) -> None:
    """Keep a version that waits for a person from becoming champion."""
    from flows.commands.champion import refuse_version

    print_result(refuse_version(open_workspace(workspace), version, by, reason), as_json=False)


@app.command()
def rollback(
    workspace: Directory = Path(),
    to: Annotated[int | None, typer.Option(min=1, help="Default: the last champion.")] = None,
    reason: Annotated[str, typer.Option(help="Why; the ledger keeps it.")] = "rolled back by hand",
    *,
    as_json: AsJson = False,
) -> None:
    """Make the last version that really was champion it again; smoke-tested first."""
    from flows.commands.champion import roll_back, rollback_lines

    done = roll_back(open_workspace(workspace), to, reason)
    print_result(done.model_dump(mode="json") if as_json else rollback_lines(done), as_json=as_json)
