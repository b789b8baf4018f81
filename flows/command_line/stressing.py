"""The commands that stress a version: evaluate, attack."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.command_line.application import (
    AsJson,
    Directory,
    announced,
    app,
    open_workspace,
    print_result,
)
from flows.command_line.model_options import with_model_options

if TYPE_CHECKING:
    from flows.foreign.judging import Evaluated


@app.command()
@with_model_options
def evaluate(
    workspace: Directory = Path(),
    version: Annotated[int | None, typer.Option(help="Default: the champion.")] = None,
    certify: Annotated[
        int | None, typer.Option(min=1, help="Rows to certify: what no edit of words can break.")
    ] = None,
    ball: Annotated[
        int | None, typer.Option(min=1, help="Rows whose word vectors are moved, by gradients.")
    ] = None,
    *,
    options: dict[str, Any],
    as_json: AsJson = False,
) -> None:
    """Score a version on today's test set and suites, or any --model on --data."""
    from flows.commands import judge_model
    from flows.commands.evaluate import evaluate_version, lines

    judge_model.refuse_mixture(options, workspace, {"version": version})
    bounds = {"certify": certify, "ball": ball}
    if options["model"] is not None:
        found = judge_model.evaluate_any(options, bounds, call=announced(as_json=as_json))
        _print_judged(found, as_json=as_json)
        return
    reports = evaluate_version(
        open_workspace(workspace), version, bounds, call=announced(as_json=as_json)
    )
    content = [report.model_dump(mode="json") for report in reports]
    print_result(content if as_json else lines(reports), as_json=as_json)


@app.command()
@with_model_options
def attack(  # noqa: PLR0913, PLR0917 - options
    workspace: Directory = Path(),
    version: Annotated[int | None, typer.Option(help="Default: the champion.")] = None,
    recipe: Annotated[list[str] | None, typer.Option(help="Again for more than one.")] = None,
    examples: Annotated[int | None, typer.Option(min=1, help="Rows of the test set.")] = None,
    max_queries: Annotated[int | None, typer.Option(min=1, help="For one row.")] = None,
    max_words: Annotated[int | None, typer.Option(min=1, help="Changed in one row.")] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same attack.")] = None,
    target: Annotated[str | None, typer.Option(help="The label that rows are to get.")] = None,
    bound: Annotated[float | None, typer.Option(min=0, max=1, help="A broken row's score.")] = None,
    words: Annotated[str | None, typer.Option(help="all, context or named.")] = None,
    goal: Annotated[str | None, typer.Option(help="wrong or drift.")] = None,
    synonyms_from: Annotated[str | None, typer.Option(help="vectors or wordnet.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Runs of each attack.")] = None,
    stop_early: Annotated[
        bool | None, typer.Option("--stop-early/--all-rows", help="Stop when it is decided.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="Another version, or beside --model another model.")
    ] = None,
    floor: Annotated[
        float | None, typer.Option(min=0, max=1, help="Of --model: decided by --stop-early.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page of it to this file.")] = None,
    training_texts: Annotated[
        Path | None, typer.Option(help="Attack training rows, and write their texts here.")
    ] = None,
    *,
    options: dict[str, Any],
    list_: Annotated[bool, typer.Option("--list", help="Say which attacks there are.")] = False,
    as_json: AsJson = False,
) -> None:
    """Attack a version, or any --model on --data; what is not given is as params.yaml has it."""
    from flows.commands import judge_model
    from flows.commands.attack import attack_version, version_number
    from flows.commands.attack_lines import lines, recipe_lines

    if list_:
        print_result(recipe_lines(), as_json=False)
        raise typer.Exit
    settings = {
        "recipes": tuple(recipe or ()), "n_examples": examples, "max_queries": max_queries,
        "max_words": max_words, "seed": seed, "target": target, "bound": bound, "words": words,
        "goal": goal, "synonyms_from": synonyms_from, "seeds": seeds, "stop_early": stop_early,
    }  # fmt: skip
    of_version = {"version": version, "training_texts": training_texts}
    judge_model.refuse_mixture({**options, "floor": floor}, workspace, of_version)
    call = announced(as_json=as_json)
    if options["model"] is not None:
        beside: dict[str, Any] = {"against": against, "floor": floor, "html": html}
        judged = judge_model.attack_any(options, settings, call=call, **beside)
        _print_judged(judged, as_json=as_json)
        return
    if training_texts is not None:
        _write_training_texts(workspace, version, settings, training_texts, as_json=as_json)
        return
    opened = open_workspace(workspace)
    other = None if against is None else version_number(against)
    found = attack_version(opened, version, settings, call=call, against=other, html=html)
    print_result(found.model_dump(mode="json") if as_json else lines(found), as_json=as_json)


def _write_training_texts(
    workspace: Path, version: int | None, settings: dict[str, Any], path: Path, *, as_json: bool
) -> None:
    from flows.commands.attack_training import lines, write_training_texts

    written = write_training_texts(
        open_workspace(workspace), version, settings, path, call=announced(as_json=as_json)
    )
    print_result(written.model_dump() if as_json else lines(written), as_json=as_json)


def _print_judged(found: Evaluated, *, as_json: bool) -> None:
    from flows.commands import judge_model

    shown = judge_model.public(found) if as_json else judge_model.lines(found)
    print_result(shown, as_json=as_json)
