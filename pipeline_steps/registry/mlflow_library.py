"""The MLflow library, imported once and checked: a folder of its name stands at the root."""

from __future__ import annotations

import logging
import os
from types import ModuleType

from pipeline_steps.errors import MissingDependencyError


def load_mlflow() -> ModuleType:
    """Return the library.

    Raises
    ------
    MissingDependencyError
        If what is imported is a folder called ``mlflow`` and not the library.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow

    if not hasattr(mlflow, "set_tracking_uri"):
        raise MissingDependencyError(
            f"`import mlflow` found {list(getattr(mlflow, '__path__', []))}, not the library",
            expected="the installed package mlflow",
            fix="pip install mlflow; remove any __init__.py from the folder mlflow/",
        )
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return mlflow
