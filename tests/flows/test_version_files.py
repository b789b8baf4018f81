"""What the runs of a version keep: fetched from the one that last judged it to its end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_workspaces import make_workspace

from flows.evidence import Evidence, StoredFile
from flows.registry_access import open_ledger, open_tracker
from flows.version_files import fetch_version_files, recorded_predictions
from flows.workspace import Workspace
from pipeline_steps.errors import EvidenceError, RegistryError
from pipeline_steps.predictions_file import PredictionTable, write_predictions
from pipeline_steps.registry.gate import Beside
from pipeline_steps.registry.verdicts import record_verdict
from pipeline_steps.types import ModelVersion, Predictions

EVALUATION = "evaluation.json"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(make_workspace(tmp_path / "desk", tmp_path / "base"))


def judged(workspace: Workspace, fingerprint: str, champion: str = "old") -> str:
    """Return the run of a fingerprint, after the ledger got a verdict of it."""
    record_verdict(
        open_ledger(workspace), workspace.params.register_.model_name, actor="ada", reason="HOLD",
        evidence={
            "fingerprint": fingerprint, "candidate_digest": "new", "champion_digest": champion
        },
    )  # fmt: skip
    tracker = open_tracker(workspace)
    return tracker.start_run(fingerprint, name="r", tags={}, params={}, datasets=[])


def version_of(workspace: Workspace, run: str) -> ModelVersion:
    name = workspace.params.register_.model_name
    return ModelVersion(
        name=name, version=1, mlflow_run_id=run, model_uri="", checkpoint_digest="new"
    )


def log(workspace: Workspace, run: str, text: str, place: Path) -> None:
    place.mkdir(exist_ok=True)
    (place / EVALUATION).write_text(text)
    open_tracker(workspace).log_files(run, [place / EVALUATION])


def test_a_version_whose_registering_run_was_killed_has_the_files_of_a_later_one(
    workspace: Workspace, tmp_path: Path
) -> None:
    killed = judged(workspace, "a" * 64)
    version = version_of(workspace, killed)
    with pytest.raises(RegistryError, match=r"no run of version 1 of desk keeps evaluation\.json"):
        fetch_version_files(workspace, version)
    log(workspace, judged(workspace, "b" * 64), "of b", tmp_path / "kept")
    assert (fetch_version_files(workspace, version) / EVALUATION).read_text() == "of b"
    judged(workspace, "c" * 64)  # killed too
    assert (fetch_version_files(workspace, version) / EVALUATION).read_text() == "of b"


def test_files_of_a_version_that_was_judged_anew_are_fetched_anew(
    workspace: Workspace, tmp_path: Path
) -> None:
    run = judged(workspace, "a" * 64)
    version = version_of(workspace, run)
    for champion in ("old", "newer"):
        assert judged(workspace, "a" * 64, champion) == run
        log(workspace, run, f"against {champion}", tmp_path / "kept")
        files = fetch_version_files(workspace, version)
        assert (files / EVALUATION).read_text() == f"against {champion}"


def predictions(path: Path) -> Predictions:
    names = np.array(["r1", "r2"], dtype=object)
    table = PredictionTable(
        example_ids=names, truth=np.array(["a", "b"], dtype=object),
        logits=np.eye(2, dtype=np.float32), labels=("a", "b"),
        n_tokens=np.array([3, 3], dtype=np.int32), columns={},
    )  # fmt: skip
    return write_predictions(
        path, table, checkpoint_digest="new", dataset_digest="rows", suite="test", kind="clean"
    )


def test_predictions_of_another_machine_come_from_the_evidence_and_are_verified(
    workspace: Workspace, tmp_path: Path
) -> None:
    run = judged(workspace, "a" * 64)
    made = predictions(tmp_path / "elsewhere.parquet")
    evidence = Evidence(
        candidate_digest="new",
        champion_digest=None,
        evaluate=workspace.params.evaluate,
        gate=workspace.params.gate,
        beside=Beside(),
        files={"candidate/test": StoredFile(place="x/elsewhere.parquet", digest=made.digest)},
    )
    (tmp_path / "evidence.json").write_text(evidence.model_dump_json())
    tracker = open_tracker(workspace)
    tracker.log_files(run, [tmp_path / "evidence.json"])
    tracker.log_files(run, [made.path], under="evidence")
    log(workspace, run, "of a", tmp_path / "kept")
    files = fetch_version_files(workspace, version_of(workspace, run))
    found = recorded_predictions(workspace, files, "test")
    assert found == made.model_copy(update={"path": files / "evidence/elsewhere.parquet"})
    assert recorded_predictions(workspace, files, "typos") is None
    assert found is not None
    found.path.write_bytes(found.path.read_bytes() + b"\0")
    with pytest.raises(EvidenceError, match="its content was changed"):
        recorded_predictions(workspace, files, "test")
