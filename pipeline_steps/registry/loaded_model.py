"""A model that MLflow loads from a URI or a directory, as something that is asked row by row.

Loading runs the code of the model, and some flavours unpickle it: whoever names a model trusts it.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline_steps.digests import value_digest
from pipeline_steps.errors import MissingDependencyError, RegistryError
from pipeline_steps.registry.mlflow_library import explained, load_mlflow, without_password

_SQLITE = "sqlite:///"
_FAILURES = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What models raise at rows that they do not read in this form."""


class LoadedModel:
    """Answers requests by ``predict`` of a pyfunc model.

    Parameters
    ----------
    uri : str
        ``models:/name/version``, ``models:/name@alias``, ``runs:/...``, or a model's directory.
    tracking_uri : str, optional
        Where the registry is; needed for ``models:`` and ``runs:``.

    Raises
    ------
    RegistryError
        If there is no such model, or it cannot be loaded.
    MissingDependencyError
        If a library that it needs is not installed.
    """

    def __init__(self, uri: str, tracking_uri: str | None) -> None:
        self.uri = uri
        self._model = _load(uri, tracking_uri)

    @property
    def problem(self) -> str | None:
        """What Holdfast wrote down that it is for; ``None``: another program wrote it."""
        said = (self._model.metadata.metadata or {}).get("problem")
        return None if said is None else str(said)

    @property
    def digest(self) -> str:
        """What names this model, and no other."""
        about = self._model.metadata
        return value_digest({"model": str(about.model_uuid), "run": str(about.run_id)})

    @property
    def columns(self) -> list[str] | None:
        """Names of the columns that it reads; ``None``: it says none."""
        schema = self._model.metadata.get_input_schema()
        return (
            list(schema.input_names()) if schema is not None and schema.has_input_names() else None
        )

    def ask(self, requests: Sequence[Mapping[str, Any]], *, as_frame: bool) -> Any:
        """Return what the model says of requests, as JSON has it.

        Parameters
        ----------
        requests : sequence of mapping
            Column -> value.
        as_frame : bool
            Whether it reads a frame with these columns; else it is given the texts alone.

        Raises
        ------
        RegistryError
            If the model fails.
        """
        import pandas as pd

        rows = [dict(request) for request in requests]
        texts = [next(iter(request.values())) for request in rows]
        try:
            output = self._model.predict(pd.DataFrame(rows) if as_frame else texts)
        except (*_FAILURES, load_mlflow().exceptions.MlflowException) as error:
            raise RegistryError(
                f"{self.uri} failed on {len(rows)} rows: {type(error).__name__}: "
                f"{str(error)[:300]}",
                expected=f"a model that reads {'a frame with ' if as_frame else ''}"
                f"{', '.join(rows[0]) if as_frame else 'a list of texts'}",
                fix="say which column it reads: --send-as COLUMN (--send-as - for bare texts)",
            ) from error
        return _as_json(output)


def _load(uri: str, tracking_uri: str | None) -> Any:
    mlflow = load_mlflow()
    remote = uri.startswith(("models:", "runs:"))
    if remote:
        _refuse_no_registry(uri, tracking_uri)
        mlflow.set_tracking_uri(tracking_uri)
        mlflow.set_registry_uri(tracking_uri)
    try:
        # Standard output is for results.
        with explained(str(tracking_uri or uri)), contextlib.redirect_stdout(sys.stderr):
            return mlflow.pyfunc.load_model(uri)
    except RegistryError as error:
        raise _not_loaded(uri, tracking_uri if remote else None, error) from error
    except ImportError as error:
        raise MissingDependencyError(
            f"{uri} needs a library that is not here: {error}",
            expected="the libraries of the model's requirements.txt",
            fix="install them, or serve the model and give its address: --model http://...",
        ) from error


def _not_loaded(uri: str, tracking_uri: str | None, error: RegistryError) -> RegistryError:
    """Return what to mend of the name, which is wrong more often than the registry is."""
    said = f"{uri} cannot be loaded: {error.received}"
    if tracking_uri is None:
        return RegistryError(
            said,
            expected="a model directory with the flavour python_function, as MLflow saves it",
            fix="mend the path, or save the model again",
        )
    return RegistryError(
        said,
        expected="a model that this registry has, as models:/NAME/VERSION, models:/NAME@ALIAS or "
        "runs:/RUN/PATH",
        fix="mend the name; or start the registry's server, or name another: --tracking-uri URI",
    )


def _refuse_no_registry(uri: str, tracking_uri: str | None) -> None:
    """Refuse a registry that is not named, and a database that MLflow would make anew."""
    if tracking_uri is None:
        raise RegistryError(
            f"{uri} stands in a registry, and none is named",
            expected="the address of a tracking server, or sqlite:////absolute/path/mlflow.db",
            fix="name it: --tracking-uri URI, or HOLDFAST_MLFLOW_TRACKING_URI",
        )
    if tracking_uri.startswith(_SQLITE) and not Path(tracking_uri[len(_SQLITE) :]).is_file():
        raise RegistryError(
            without_password(f"there is no database at {tracking_uri}", tracking_uri),
            expected="the database of a registry, such as .holdfast/mlflow.db of a workspace",
            fix="mend the path after sqlite:///",
        )


def _as_json(output: Any) -> Any:
    """Return frames, series and arrays as lists; a frame's rows are mappings."""
    if hasattr(output, "to_dict") and hasattr(output, "columns"):
        return _plain(output.to_dict(orient="records"))
    return _plain(output)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
