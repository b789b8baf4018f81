"""The registered model as code: what ``mlflow.pyfunc.load_model`` and ``mlflow models serve`` run.

MLflow executes this file by path (models from code); nothing is pickled.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd


class ServedModel(mlflow.pyfunc.PythonModel):  # type: ignore[name-defined,misc]
    """Answers to a frame with the problem's input columns (``text`` for a classifier)."""

    def load_context(self, context: Any) -> None:
        """Load the checkpoint that lies beside this code."""
        from pipeline_steps.inference.predictor import Predictor

        self.predictor = Predictor.from_checkpoint(Path(context.artifacts["checkpoint"]))

    def predict(
        self,
        context: Any,  # noqa: ARG002 - the signature of the base class
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,  # noqa: ARG002 - same
    ) -> pd.DataFrame:
        """Return the problem's output columns (``label`` and ``score`` of a classifier), by row."""
        columns = [field.name for field in self.predictor.problem.outputs]
        answers = self.predictor.answer(_requests(model_input))
        return pd.DataFrame([{name: a[name] for name in columns} for a in answers], columns=columns)


def _requests(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows without the cells that hold nothing."""
    return [
        {
            str(name): value
            for name, value in row.items()
            if value is not None and not (isinstance(value, float) and math.isnan(value))
        }
        for row in frame.to_dict(orient="records")
    ]


mlflow.models.set_model(ServedModel())
