"""The record in a real MLflow store: runs by fingerprint, what they hold, versions, aliases."""

from __future__ import annotations

import concurrent.futures
import json
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
from gate_builders import report
from registry_builders import register_checkpoint

from pipeline_steps.digests import directory_digest
from pipeline_steps.errors import RegistryError
from pipeline_steps.evaluation_types import MetricValue
from pipeline_steps.registry.mlflow_entities import DATASET_DIGEST
from pipeline_steps.registry.tracked_runs import FINGERPRINT
from pipeline_steps.registry.tracking import Tracker
from pipeline_steps.types import Checkpoint, DatasetRef

NOWHERE = "no-such-run"


def start(tracker: Tracker, fingerprint: str = "f1", **replaced: Any) -> str:
    content: dict[str, Any] = {"name": "run", "tags": {}, "params": {}, "datasets": []}
    return tracker.start_run(fingerprint, **(content | replaced))


def dataset(name: str, split: str = "test", digest: str = "d" * 32) -> DatasetRef:
    return DatasetRef(
        name=name, split=split, path=Path("/data") / name, digest=digest, n_examples=7
    )


def metrics_of(tracker: Tracker, run: str) -> dict[str, float]:
    return tracker.client.get_run(run).data.metrics


def params_of(tracker: Tracker, run: str) -> dict[str, str]:
    return tracker.client.get_run(run).data.params


def make_version(tracker: Tracker, digest: str, name: str = "intents") -> int:
    """Register a version without an artifact."""
    run = start(tracker, digest)
    return tracker.register(name, f"runs:/{run}/model", run, digest, tags={"k": "v"}).version


def test_a_fingerprint_without_a_run_finds_none(tracker: Tracker) -> None:
    start(tracker, "other")
    assert tracker.find_run("f1") is None


def test_a_finished_run_is_found_before_an_interrupted_one(tracker: Tracker) -> None:
    finished = start(tracker)
    tracker.finish_run(finished)
    later = tracker.client.create_run(tracker.experiment_id, tags={FINGERPRINT: "f1"})
    tracker.finish_run(later.info.run_id, "KILLED")
    found = tracker.find_run("f1")
    assert found is not None
    assert (found.mlflow_run_id, found.finished) == (finished, True)


@pytest.mark.parametrize("status", ["RUNNING", "KILLED", "FAILED"])
def test_an_interrupted_run_goes_on(tracker: Tracker, status: str) -> None:
    first = start(tracker)
    if status != "RUNNING":
        tracker.finish_run(first, status)
    interrupted = tracker.find_run("f1")
    assert interrupted is not None
    assert not interrupted.finished
    assert start(tracker) == first
    assert tracker.client.get_run(first).info.status == "RUNNING"
    assert start(tracker, "f2") != first


def test_a_run_that_was_killed_at_its_start_is_made_whole(tracker: Tracker) -> None:
    """Between the run and its parameters a process can die; the next one writes them."""
    run = tracker.client.create_run(tracker.experiment_id, tags={FINGERPRINT: "f1"})
    went_on = start(tracker, params={"a": 1}, datasets=[dataset("test")], tags={"git": "abc"})
    assert went_on == run.info.run_id
    written = tracker.client.get_run(went_on)
    assert (written.data.params, written.data.tags["git"]) == ({"a": "1"}, "abc")
    assert [i.dataset.name for i in written.inputs.dataset_inputs] == ["test"]


def test_a_run_that_goes_on_with_another_parameter_keeps_the_first(tracker: Tracker) -> None:
    """What is not part of the fingerprint may change in between; MLflow refuses the change."""
    run = start(tracker, params={"batch_rows": 10}, datasets=[dataset("test")])
    start(tracker, params={"batch_rows": 20, "new": 1}, datasets=[dataset("test")])
    assert params_of(tracker, run) == {"batch_rows": "10", "new": "1"}
    assert len(tracker.client.get_run(run).inputs.dataset_inputs) == 1


def test_a_deleted_run_is_not_found(tracker: Tracker) -> None:
    run = start(tracker)
    tracker.finish_run(run)
    tracker.client.delete_run(run)
    assert tracker.find_run("f1") is None
    assert start(tracker) != run


def test_runs_of_another_experiment_are_not_found(tracker: Tracker, tmp_path: Path) -> None:
    start(tracker)
    other = Tracker(tracker.tracking_uri, tmp_path.as_uri(), "other")
    assert other.find_run("f1") is None


def test_a_run_in_another_thread_is_the_one_that_is_named(tracker: Tracker) -> None:
    """MLflow's own active run belongs to a thread and would make a run nobody asked for."""
    run = start(tracker)
    thread = threading.Thread(target=tracker.log_reports, args=(run, [report()]))
    thread.start()
    thread.join()
    assert metrics_of(tracker, run)["test/accuracy"] == 0.9
    assert len(tracker.client.search_runs([tracker.experiment_id])) == 1


def test_parameters_are_flat_and_text(tracker: Tracker) -> None:
    params = {
        "finetune": {"lora": {"rank": 8}, "base_model": "b", "epochs": 2.5, "seed": None},
        "gate": {"floors": {"suite*typo/accuracy": 0.5}, "superiority": []},
        "ingest": {"columns": {}, "sources": [{"path": "a.csv"}]},
        "long": "x" * 10_000,
        "many": {f"p{i}": i for i in range(250)},
    }
    written = params_of(tracker, start(tracker, params=params))
    many = {name: value for name, value in written.items() if name.startswith("many.")}
    assert many == {f"many.p{i}": str(i) for i in range(250)}
    assert {name: value for name, value in written.items() if name not in many} == {
        "finetune.lora.rank": "8",
        "finetune.base_model": "b",
        "finetune.epochs": "2.5",
        "finetune.seed": "null",
        "gate.floors.suite_typo/accuracy": "0.5",
        "gate.superiority": "[]",
        "ingest.columns": "{}",
        "ingest.sources": '[{"path": "a.csv"}]',
        "long": "x" * 6000,
    }


def test_datasets_are_inputs_under_their_digests(tracker: Tracker) -> None:
    sha = "0123456789abcdef" * 4
    run = start(tracker, datasets=[dataset("train", "train"), dataset("shifted", digest=sha)])
    inputs = tracker.client.get_run(run).inputs.dataset_inputs
    found = {
        i.dataset.name: (i.dataset.digest, {tag.key: tag.value for tag in i.tags}) for i in inputs
    }
    assert found == {
        "train": ("d" * 32, {"mlflow.data.context": "train", DATASET_DIGEST: "d" * 32}),
        "shifted": (sha[:36], {"mlflow.data.context": "test", DATASET_DIGEST: sha}),
    }
    assert json.loads(inputs[0].dataset.profile) == {"num_rows": 7}


def test_each_metric_is_logged_with_its_interval_and_the_rows(tracker: Tracker) -> None:
    run = start(tracker)
    tracker.log_reports(run, [report(ece=0.05), report("suite.b", accuracy=None, n=40)])
    assert metrics_of(tracker, run) == {
        "test/n": 500,
        "test/accuracy": 0.9,
        "test/accuracy/ci_low": 0.0,
        "test/accuracy/ci_high": 1.0,
        "test/ece": 0.05,
        "suite.b/n": 40,
        "suite.b/accuracy/ci_low": 0.0,
        "suite.b/accuracy/ci_high": 1.0,
    }


def test_more_metrics_than_one_call_may_carry_are_logged(tracker: Tracker) -> None:
    run = start(tracker)
    metrics = tuple(
        MetricValue(name=f"m{i}", value=i, n=5, ci_low=0, ci_high=1) for i in range(400)
    )
    tracker.log_reports(run, [report().model_copy(update={"metrics": metrics})])
    assert len(metrics_of(tracker, run)) == 1201
    assert metrics_of(tracker, run)["test/m399"] == 399


def test_logging_reports_again_changes_nothing(tracker: Tracker) -> None:
    run = start(tracker)
    tracker.log_reports(run, [report()])
    before = metrics_of(tracker, run)
    tracker.log_reports(run, [report()])
    assert metrics_of(tracker, run) == before


def test_files_come_back_as_they_were_logged(tracker: Tracker, tmp_path: Path, monkeypatch) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    (tmp_path / "report.html").write_text("é")
    (tmp_path / "result.json").write_bytes(bytes(range(256)))
    run = start(tracker)
    tracker.log_files(run, [tmp_path / "report.html", tmp_path / "result.json"])
    into = tmp_path / "new" / "directory"
    tracker.download_files(run, into)
    assert {file.name for file in into.iterdir()} == {"report.html", "result.json"}
    assert (into / "report.html").read_text() == "é"
    assert (into / "result.json").read_bytes() == bytes(range(256))
    assert list(temporary.iterdir()) == []


def test_a_run_without_files_gives_none(tracker: Tracker, tmp_path: Path) -> None:
    tracker.download_files(start(tracker), tmp_path / "into")
    assert list((tmp_path / "into").iterdir()) == []


def test_versions_are_numbered_and_keep_their_tags(tracker: Tracker) -> None:
    assert [make_version(tracker, digest) for digest in ("a", "b")] == [1, 2]
    version = tracker.version("intents", 2)
    assert (version.checkpoint_digest, version.model_uri) == ("b", "models:/intents/2")
    found = tracker.find_run("b")
    assert found is not None
    assert version.mlflow_run_id == found.mlflow_run_id
    tracker.tag_version(version, {"holdfast.verdict": "HOLD"})
    assert tracker.client.get_model_version("intents", "2").tags["holdfast.verdict"] == "HOLD"
    assert tracker.client.get_model_version("intents", "2").tags["k"] == "v"


def test_a_version_is_found_by_its_checkpoint(tracker: Tracker) -> None:
    assert tracker.find_version("intents", "a") is None
    for digest in ("a", "b", "a"):
        make_version(tracker, digest)
    make_version(tracker, "c", name="other")
    found = tracker.find_version("intents", "a")
    assert found is not None
    assert found.version == 1
    assert tracker.find_version("intents", "c") is None


def test_a_version_that_was_removed_is_not_found_and_its_number_not_used_again(
    tracker: Tracker,
) -> None:
    make_version(tracker, "a")
    tracker.client.delete_model_version("intents", "1")
    assert tracker.find_version("intents", "a") is None
    assert make_version(tracker, "a") == 2


def test_a_version_that_is_not_there_is_refused(tracker: Tracker) -> None:
    make_version(tracker, "a")
    with pytest.raises(RegistryError, match=r"no version 7 of intents(?s:.)*holdfast train makes"):
        tracker.version("intents", 7)
    with pytest.raises(RegistryError, match="no version 1 of nothing"):
        tracker.version("nothing", 1)


def test_a_version_of_somebody_else_is_refused(tracker: Tracker) -> None:
    tracker.client.create_registered_model("intents")
    tracker.client.create_model_version("intents", "/models/theirs")
    with pytest.raises(RegistryError, match=r"version 1 of intents has no tag holdfast\."):
        tracker.version("intents", 1)


def test_an_alias_points_to_one_version_at_a_time(tracker: Tracker) -> None:
    assert tracker.version_by_alias("intents", "champion") is None
    for digest in ("a", "b"):
        make_version(tracker, digest)
    assert tracker.version_by_alias("intents", "champion") is None
    for number in (1, 2):
        tracker.set_alias("intents", "champion", number)
    tracker.set_alias("intents", "previous", 1)
    champion = tracker.version_by_alias("intents", "champion")
    assert champion is not None
    assert (champion.version, champion.aliases) == (2, ("champion",))
    assert tracker.version("intents", 1).aliases == ("previous",)


def test_removing_an_alias_twice_is_removing_it(tracker: Tracker) -> None:
    make_version(tracker, "a")
    tracker.set_alias("intents", "challenger", 1)
    tracker.delete_alias("intents", "challenger")
    tracker.delete_alias("intents", "challenger")
    assert tracker.version_by_alias("intents", "challenger") is None


def test_the_checkpoint_of_a_version_comes_back_whole(
    tracker: Tracker, checkpoints: list[Checkpoint], tmp_path: Path
) -> None:
    version = register_checkpoint(tracker, checkpoints[0])
    into = tmp_path / "new" / "checkpoint"
    into.mkdir(parents=True)
    (into / "left.partial").write_text("by a process that was killed")
    assert tracker.checkpoint_of(version, into) == into
    assert directory_digest(into, exclude=("meta.json",)) == checkpoints[0].digest
    assert [path.name for path in into.parent.iterdir()] == ["checkpoint"]


def test_an_artifact_that_is_gone_is_refused(
    tracker: Tracker, checkpoints: list[Checkpoint], tmp_path: Path
) -> None:
    make_version(tracker, checkpoints[0].digest)
    with pytest.raises(RegistryError, match=r"refused: (?s:.)*then run the command again"):
        tracker.checkpoint_of(tracker.version("intents", 1), tmp_path / "checkpoint")
    assert not (tmp_path / "checkpoint").exists()


def test_trackers_that_open_an_experiment_at_once_make_one(
    tracking_uri: str, tmp_path: Path
) -> None:
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        made = pool.map(lambda _: Tracker(tracking_uri, tmp_path.as_uri(), "new"), range(4))
        assert len({tracker.experiment_id for tracker in made}) == 1


def test_a_model_that_two_register_at_once_has_two_versions(tracker: Tracker) -> None:
    runs = {digest: start(tracker, digest) for digest in "abcd"}

    def register(digest: str) -> int:
        uri = f"runs:/{runs[digest]}/model"
        return tracker.register("intents", uri, runs[digest], digest, tags={}).version

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(register, runs)) == [1, 2, 3, 4]


def test_artifacts_lie_where_the_experiment_says(tracker: Tracker, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("r")
    tracker.log_files(start(tracker), [tmp_path / "report.html"])
    assert len(list((tmp_path / "artifacts").rglob("report.html"))) == 1


def test_a_deleted_experiment_names_the_command_that_restores_it(
    tracker: Tracker, tmp_path: Path
) -> None:
    tracker.client.delete_experiment(tracker.experiment_id)
    command = f"mlflow experiments restore -x {tracker.experiment_id}"
    with pytest.raises(RegistryError, match=command):
        Tracker(tracker.tracking_uri, tmp_path.as_uri(), "tests")


def test_what_mlflow_refuses_tells_the_fix(tracker: Tracker) -> None:
    with pytest.raises(RegistryError, match=f"{NOWHERE} not found(?s:.)*TRACKING_URI") as refused:
        tracker.finish_run(NOWHERE)
    assert type(refused.value.__cause__).__name__ == "MlflowException"


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "sqlite://"])
def test_a_relative_database_is_refused(uri: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RegistryError, match="names no absolute path"):
        Tracker(uri, tmp_path.as_uri(), "tests")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_refused_by_the_tracker(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"no database, but long enough to look at" * 100)
    monkeypatch.setattr("mlflow.store.db.utils.MAX_RETRY_COUNT", 1)
    with pytest.raises(RegistryError, match="file is not a database"):
        Tracker(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path.as_uri(), "tests")


def test_a_database_that_does_not_let_us_in_is_refused_at_once(postgres, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="password authentication failed") as refused:
        Tracker(postgres.url(password="hunter2"), tmp_path.as_uri(), "tests")
    assert "hunter2" not in str(refused.value)


def test_a_server_that_does_not_answer_is_refused(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RegistryError, match="Connection refused") as refused:
        Tracker("http://ada:hunter2@127.0.0.1:9", tmp_path.as_uri(), "tests")
    assert "hunter2" not in str(refused.value)
    assert "start the server" in refused.value.fix


def test_numbers_of_the_training_stand_beside_the_metrics(tracker) -> None:
    run = start(tracker)
    tracker.log_values(run, {"failed_run_rate": 0.25, "n_runs": 4}, under="training")
    tracker.log_values(run, {}, under="training")
    assert metrics_of(tracker, run) == {"training/failed_run_rate": 0.25, "training/n_runs": 4.0}
