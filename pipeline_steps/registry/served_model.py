"""The registered model as code: what ``mlflow.pyfunc.load_model`` and ``mlflow models serve`` run.

MLflow executes this file by path (models from code); nothing is pickled.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd


class ServedClassifier(mlflow.pyfunc.PythonModel):  # type: ignore[name-defined,misc]
    """Labels and their probabilities for a frame with a column ``text`` (and ``text_pair``)."""

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
        """Return ``label`` and ``score`` of each row."""
        pairs = None
        if "text_pair" in model_input:  # MLflow may make NaN of a pair that is not there
            pairs = [pair if isinstance(pair, str) else None for pair in model_input["text_pair"]]
        answers = self.predictor.predict(model_input["text"].tolist(), pairs)
        return pd.DataFrame(
            [(answer["label"], answer["score"]) for answer in answers], columns=["label", "score"]
        )


mlflow.models.set_model(ServedClassifier())
