"""The options of a model that was not trained here, shared by the commands that judge one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

_OPTIONS: dict[str, Any] = {
    "model": Annotated[
        str | None, typer.Option(help="Any model: DIR, models:/NAME/VERSION or http://...")
    ],
    "data": Annotated[Path | None, typer.Option(help="Labelled rows to judge --model on.")],
    "problem": Annotated[str | None, typer.Option(help="What --model is for.")],
    "text_column": Annotated[str | None, typer.Option()],
    "label_column": Annotated[str | None, typer.Option()],
    "column": Annotated[list[str] | None, typer.Option(help="FIELD=NAME of any other column.")],
    "label": Annotated[
        list[str] | None, typer.Option(help="MODELS=DATAS, where they call a label differently.")
    ],
    "suite": Annotated[list[str] | None, typer.Option(help="NAME=FILE, rows of another kind.")],
    "noise": Annotated[list[str] | None, typer.Option(help="KIND:LEVEL, noise put on --data.")],
    "rewrite": Annotated[
        list[str] | None, typer.Option(help="entity_swap or distractor, :RATE, done to --data.")
    ],
    "behaviour": Annotated[Path | None, typer.Option(help="Behavioural tests (YAML) of --model.")],
    "max_length": Annotated[int | None, typer.Option(min=2, help="Tokens that are read.")],
    "tracking_uri": Annotated[str | None, typer.Option(help="Where models:/ and runs:/ stand.")],
    "format": Annotated[
        str | None, typer.Option(help="Of an address: huggingface, mlflow, holdfast.")
    ],
    "header": Annotated[
        list[str] | None, typer.Option(help="NAME=VARIABLE, a header from the environment.")
    ],
    "timeout": Annotated[float | None, typer.Option(min=0.1, help="Seconds for one request.")],
    "batch_rows": Annotated[int | None, typer.Option(min=1, help="Rows of one request.")],
    "send_as": Annotated[
        str | None, typer.Option(help="Column that the text is sent in; -: bare texts.")
    ],
    "report": Annotated[Path | None, typer.Option(help="Directory of the report of --model.")],
    "workers": Annotated[int, typer.Option(min=1, help="Processes that share the rows.")],
}
_DEFAULTS = {"workers": 1}


def with_model_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command with these options, which it is given as one mapping, ``options``."""
    signature = inspect.signature(command, eval_str=True)
    own = [p for p in signature.parameters.values() if p.name != "options"]
    added = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=_DEFAULTS.get(name),
            annotation=kind,
        )
        for name, kind in _OPTIONS.items()
    ]

    @wraps(command)
    def asked(*args: Any, **kwargs: Any) -> None:
        options = {name: kwargs.pop(name) for name in _OPTIONS}
        command(*args, options=options, **kwargs)

    parameters = sorted([*own, *added], key=lambda parameter: parameter.kind)
    asked.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    asked.__annotations__ = {p.name: p.annotation for p in parameters}
    return asked
