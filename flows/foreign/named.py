"""The model that a user names: what kind of thing it is, and how it is asked."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from flows.settings import load_settings
from pipeline_steps.errors import ConfigurationError
from pipeline_steps.inference.base_model import DEFAULT_BASE_MODEL
from pipeline_steps.types import Value

Kind = Literal["checkpoint", "directory", "mlflow", "endpoint"]
_TRACKING = "MLFLOW_TRACKING_URI"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class NamedModel(Value):
    """A model and how it is asked; what is secret stands in the environment and not here.

    ``renamed``: the model's name of a label -> the data's. ``headers``: header -> the variable that
    holds it. ``labels`` are those that probabilities are of, ``full`` says whether it tells them
    all; both are found out before the work begins. ``unanswerable``: whether a question may have no
    answer. ``masked_model``: whose masked-language head proposes words, where it has one: what a
    checkpoint was trained from; of other models that is not known.
    """

    address: str
    kind: Kind
    problem: str = ""
    digest: str = ""
    renamed: dict[str, str] = Field(default={})
    labels: tuple[str, ...] = ()
    full: bool = True
    unanswerable: bool = True
    max_length: int | None = None
    tracking_uri: str | None = None
    format: Literal["huggingface", "mlflow", "holdfast"] = "huggingface"
    headers: dict[str, str] = Field(default={})
    timeout: float = 60.0
    batch_rows: int = 32
    send_as: str | None = None
    masked_model: str = DEFAULT_BASE_MODEL

    @property
    def served(self) -> bool:
        """Whether it is asked for answers, and its weights are not read."""
        return self.kind in ("mlflow", "endpoint")

    @property
    def path(self) -> Path:
        """Its directory."""
        return Path(self.address)


def kind_of(address: str, option: str = "--model") -> Kind:
    """Return what an address names.

    Raises
    ------
    ConfigurationError
        If it is neither a directory nor an address that is known.
    """
    if address.startswith(("http://", "https://")):
        return "endpoint"
    path = Path(address).expanduser()
    if address.startswith(("models:", "runs:")) or (path / "MLmodel").is_file():
        return "mlflow"
    if not path.is_dir():
        raise ConfigurationError(
            f"{option} {address} is no directory, MLflow URI or HTTP address",
            expected="DIR, models:/NAME/VERSION, models:/NAME@ALIAS, runs:/RUN/PATH or http://...",
            fix="check the name; a model of the Hugging Face hub is downloaded first",
        )
    return "checkpoint" if (path / "meta.json").is_file() else "directory"


def pairs_of(options: Sequence[str], option: str, form: str) -> dict[str, str]:
    """Return the pairs of options ``LEFT=RIGHT``.

    Raises
    ------
    ConfigurationError
        If one is not of that form, or names one thing twice.
    """
    found: dict[str, str] = {}
    for text in options:
        left, equals, right = text.partition("=")
        if not (equals and left and right) or left in found:
            raise ConfigurationError(
                f"{option} {text!r}",
                expected=f"{form}, each of them once",
                fix=f"write it as {option} {form}",
            )
        found[left] = right
    return found


def header_values(headers: Mapping[str, str]) -> dict[str, str]:
    """Return what the variables hold that headers are read from.

    Raises
    ------
    ConfigurationError
        If one is not set; the message shows the variable's name only if it can be one.
    """
    for name, variable in headers.items():
        if not os.environ.get(variable):
            shown = variable if _NAME.fullmatch(variable) else "what stands behind the ="
            raise ConfigurationError(
                f"--header {name}: {shown} is no environment variable that is set",
                expected=f"{name}=VARIABLE, the name of a variable that holds the header's value: "
                "secrets are not read from the command line",
                fix="export the variable, then run the command again",
            )
    return {name: os.environ[variable] for name, variable in headers.items()}


def registry_of(asked: str | None) -> str | None:
    """Return the tracking URI that was asked for, or that the environment names."""
    return asked or load_settings().mlflow_tracking_uri or os.environ.get(_TRACKING)
