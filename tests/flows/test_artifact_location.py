"""Artifacts lie beside the record: on this machine, or with the server that others use too."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.settings import Settings
from flows.workspace import Workspace
from pipeline_steps.params import Params


def location(root: Path, **settings: str) -> str:
    params = Params.model_validate({"ingest": {"sources": [{"path": "raw.csv"}]}})
    return Workspace(root, params, Settings(**settings)).artifact_location


def test_artifacts_lie_under_the_state_directory_beside_a_local_record(tmp_path: Path) -> None:
    assert location(tmp_path) == (tmp_path / ".holdfast/artifacts").as_uri()


@pytest.mark.parametrize("address", ["http://localhost:5000", "https://mlflow.example.org"])
def test_artifacts_lie_with_the_server_that_keeps_the_record(tmp_path: Path, address: str) -> None:
    """Below this machine's state directory nobody else could load a registered version."""
    assert location(tmp_path, mlflow_tracking_uri=address) == "mlflow-artifacts:/holdfast"


def test_artifacts_lie_where_the_setting_says(tmp_path: Path) -> None:
    bucket = "s3://bucket/holdfast"
    asked = {"mlflow_tracking_uri": "http://localhost:5000", "mlflow_artifact_location": bucket}
    assert location(tmp_path, **asked) == bucket
