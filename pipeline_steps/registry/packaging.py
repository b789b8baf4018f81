"""A checkpoint as an MLflow model directory: code, weights, signature, requirements, no pickle."""

from __future__ import annotations

import importlib.metadata
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.problems.problem import Field
from pipeline_steps.provenance import PACKAGE_ROOT
from pipeline_steps.registry.mlflow_library import load_mlflow
from pipeline_steps.types import Checkpoint

MODEL_ARTIFACTS = "artifacts"
_REQUIREMENTS = ("torch", "transformers", "safetensors", "numpy", "pandas", "pyarrow", "pydantic")
_SERVED_MODEL = Path(__file__).with_name("served_model.py")


def save_served_model(
    path: Path, checkpoint: Checkpoint, input_example: Sequence[Mapping[str, Any]]
) -> None:
    """Write an MLflow model that loads with plain ``mlflow.pyfunc.load_model``.

    The package ``pipeline_steps`` travels with it, so Holdfast need not be installed where it is
    loaded; the requirements are the versions that it was made with.
    """
    import pandas as pd

    mlflow = load_mlflow()
    with _without_remarks_on_type_hints():
        mlflow.pyfunc.save_model(
            path,
            python_model=str(_SERVED_MODEL),
            artifacts={"checkpoint": str(checkpoint.path)},
            code_paths=[str(PACKAGE_ROOT)],
            signature=_signature(checkpoint.problem),
            input_example=pd.DataFrame([dict(request) for request in input_example]),
            pip_requirements=_pinned(),
            metadata={
                "checkpoint_digest": checkpoint.digest,
                "base_model": checkpoint.base_model,
                "base_digest": checkpoint.base_digest,
                "labels": len(checkpoint.labels),
                "problem": checkpoint.problem,
            },
        )


def _signature(name: str) -> Any:
    """Return what goes into a model of a problem and what comes out."""
    from mlflow.models import ModelSignature

    problem = get_problem(name)
    return ModelSignature(inputs=_schema(problem.inputs), outputs=_schema(problem.outputs))


def _schema(fields: Sequence[Field]) -> Any:
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import Array, Map

    kinds: dict[str, Any] = {
        "string": DataType.string,
        "long": DataType.long,
        "double": DataType.double,
        "strings": Array(DataType.string),
        "doubles": Map(DataType.double),
        "messages": DataType.string,  # its items have columns under several names
    }
    return Schema([ColSpec(kinds[f.kind], f.name, required=f.required) for f in fields])


@contextmanager
def _without_remarks_on_type_hints() -> Iterator[None]:
    """MLflow remarks on its own hints and on ours; the signature says what they do not."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*type hint", category=UserWarning)
        yield


def _pinned() -> list[str]:
    """Return the requirements at the installed versions, without local build tags (+cpu)."""
    names = ("mlflow", *_REQUIREMENTS)
    return [f"{name}=={importlib.metadata.version(name).partition('+')[0]}" for name in names]
