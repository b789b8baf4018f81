"""Registered models that need no weights: a smoke test of one takes a second or two, not ten.

They are ordinary MLflow models from code, loaded and asked like all others.
"""

from __future__ import annotations

import json
import tempfile
import traceback
import warnings
from pathlib import Path

from registry_builders import MODEL, TEXTS

from pipeline_steps.digests import value_digest
from pipeline_steps.registry.mlflow_library import load_mlflow
from pipeline_steps.registry.recorded_answers import record_answers
from pipeline_steps.registry.smoke_answer import answer
from pipeline_steps.registry.smoke_test import SmokeRow
from pipeline_steps.registry.tracking import Tracker
from pipeline_steps.types import ModelVersion

_CODE = """
import json
from pathlib import Path

import mlflow
import pandas as pd


class Toy(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.label = json.loads(Path(context.artifacts["weights"]).read_text())

    def predict(self, context, model_input, params=None):
        return pd.DataFrame([{"label": self.label, "score": 0.5}] * len(model_input))


mlflow.models.set_model(Toy())
"""


def toy_answers(label: str) -> list[SmokeRow]:
    """Return what a toy answers to some texts."""
    return [
        SmokeRow(request={"text": text}, answer={"label": label}, score=0.5) for text in TEXTS[:2]
    ]


def register_toy(tracker: Tracker, label: str) -> ModelVersion:
    """Return a version that answers everything with one label, with its recorded answers."""
    digest = value_digest({"toy": label})
    run = tracker.start_run(digest, name=label, tags={}, params={}, datasets=[])
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "toy.py").write_text(_CODE)
        (root / "weights.json").write_text(json.dumps(label))
        with warnings.catch_warnings(action="ignore"):  # MLflow remarks on missing type hints
            load_mlflow().pyfunc.save_model(
                root / "model",
                python_model=str(root / "toy.py"),
                artifacts={"weights": str(root / "weights.json")},
                pip_requirements=["mlflow"],
            )
        tracker.client.log_artifacts(run, str(root / "model"), "model")
    version = tracker.register(MODEL, f"runs:/{run}/model", run, digest, tags={})
    record_answers(tracker, version, toy_answers(label))
    return version


def weights_of(tracker: Tracker, number: int) -> Path:
    """Return the file in the store that a toy's answers depend on."""
    source = tracker.client.get_model_version_download_uri(MODEL, str(number))
    return Path(source.removeprefix("file://")) / "artifacts/weights.json"


def answer_in_this_process(directory: Path, timeout: float) -> int:
    """Do what the fresh process of a smoke test does, without the seconds that one takes to start.

    It stands in for ``smoke_test._run``: the artifact is loaded and asked all the same.
    """
    with warnings.catch_warnings(action="ignore"):
        try:
            answer(directory)
        except Exception:  # noqa: BLE001 - as a process would, into its log
            (directory / "stderr.txt").write_text(traceback.format_exc())
            return 1
    return 0
