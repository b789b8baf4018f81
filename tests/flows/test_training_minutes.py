"""What a first retrain is expected to take: the record of the champion's own training."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml

from flows.registry_access import open_ledger, open_tracker
from flows.retraining.training_minutes import training_minutes
from flows.training_cost import TrainingCost
from flows.workspace import Workspace
from pipeline_steps.registry.tracked_runs import TRAINING_FINGERPRINT
from pipeline_steps.types import ModelVersion


def version_of(mlflow_run_id: str) -> ModelVersion:
    return ModelVersion(
        name="m", version=1, mlflow_run_id=mlflow_run_id, model_uri="models:/m/1",
        checkpoint_digest="c" * 64,
    )  # fmt: skip


def test_minutes_are_those_that_were_measured_or_those_of_the_record_or_not_known(
    tmp_path: Path,
) -> None:
    content = {"ingest": {"sources": [{"path": "data/raw/a.csv"}]}, "register": {"model_name": "m"}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    workspace = Workspace.open(tmp_path)
    tracker = open_tracker(workspace)
    run = tracker.client.create_run(
        tracker.experiment_id,
        start_time=int(1_000 * (time.time() - 7_200)),
        tags={TRAINING_FINGERPRINT: "f" * 64},
    )
    version = version_of(run.info.run_id)
    assert training_minutes(workspace, version_of("0" * 32)) is None
    assert training_minutes(workspace, version) is None
    for number in (2, 1, 1):  # another version; this one; judged anew later
        open_ledger(workspace).append(
            "registered", model_name="m", actor="a", reason="r", evidence={"version": number}
        )
    assert training_minutes(workspace, version) == pytest.approx(120.0, abs=5.0)
    cost = TrainingCost(cpu_seconds=1_500.0, wall_seconds=750.0, parts=2)
    file = workspace.cost_path("f" * 64)
    file.parent.mkdir(parents=True)
    file.write_text(cost.model_dump_json(), encoding="utf-8")
    assert training_minutes(workspace, version) == 12.5
