"""What a retrain learns from and how: files by the window policy, parameters by `retrain`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flows.prepare_data import Datasets
from flows.registry_access import checkpoint_of, open_tracker
from flows.retraining.dataset_version import DatasetVersion
from flows.retraining.left_out import describe_left_out, left_out
from flows.workspace import Workspace
from pipeline_steps.data_preparation.additions import EARLIER, WINDOW
from pipeline_steps.data_preparation.earlier_rows import keep_earlier
from pipeline_steps.data_preparation.held_back import held_back_rows
from pipeline_steps.digests import file_digest
from pipeline_steps.errors import DataError
from pipeline_steps.files import atomic_directory
from pipeline_steps.gate_params import policy_values
from pipeline_steps.params import Params, parse_params
from pipeline_steps.problem_defaults import HEADLINES
from pipeline_steps.types import DatasetRef, Value

_EXAMPLES = Path("data/ingested/examples.parquet")
_ORIGINS = Path("data/ingested/origins.parquet")


class Material(Value):
    """Datasets to learn from and judge on, and what may come again of the earlier rows.

    ``left_out`` counts the new rows that the data stages set aside, by reason.
    """

    datasets: Datasets
    earlier: DatasetRef
    left_out: dict[str, int]


def retrain_directory(workspace: Workspace, name: str) -> Path:
    """Return where one retrain keeps its files and its report."""
    return workspace.state / "retrain" / name


def retrain_material(workspace: Workspace, datasets: Datasets, version: DatasetVersion) -> Material:
    """Return the training and validation rows of a retrain; test set and suites stay.

    The new rows are those of the trigger's file that the data stages kept. A share of them goes to
    valid, so that training stops where the new rows are learnt too. Full learning reads them
    behind the earlier rows that the policy keeps; continual learning reads them alone, and the
    earlier rows come again by replay.

    Raises
    ------
    DataError
        If validation or near duplicates took all new rows.
    """
    params = workspace.params.retrain
    names = _ids_of(workspace.root, version.train)
    train, valid = (pq.read_table(dataset.path) for dataset in (datasets.train, datasets.valid))
    is_new = pa.array([i in names for i in train["example_id"].to_pylist()], type=pa.bool_())
    new, earlier = train.filter(is_new), train.filter(pc.invert(is_new))
    aside = left_out(workspace.root, version.train, names)
    if not len(new):
        raise DataError(
            f"no new row is left to learn from: {describe_left_out(version.n_train, aside)}",
            expected="new rows that pass validation and repeat no held-out row",
            fix="see why they were set aside: data/quarantine/",
        )
    ids, labels = new["example_id"].to_pylist(), new["label"].to_pylist()
    to_valid = pa.array(
        held_back_rows(ids, labels, params.valid_share, groups=[None] * len(ids)), type=pa.bool_()
    )
    learnt = new.filter(pc.invert(to_valid))
    kept = keep_earlier(earlier, learnt, params.rows)
    parts = {
        "train": learnt if params.learning == "continual" else pa.concat_tables([kept, learnt]),
        "valid": pa.concat_tables([valid, new.filter(to_valid)]),
        "earlier": kept,
    }
    directory = _written(retrain_directory(workspace, version.name) / "material", parts)
    refs = {name: reference(directory, name) for name in parts}
    changed = {"train": refs["train"], "valid": refs["valid"]}
    return Material(
        datasets=datasets.model_copy(update=changed), earlier=refs["earlier"], left_out=aside
    )


def retrain_params(workspace: Workspace, material: Material, champion: int) -> Params:
    """Return the workspace's parameters as a retrain changes them: its gate, how it learns.

    Continual learning begins at the checkpoint of ``champion``, the version that was it when the
    trigger was admitted.
    """
    params = workspace.params
    values = params.model_dump(mode="json", by_alias=True)
    values["gate"] |= window_demands(params)
    if params.retrain.learning == "continual":
        values["finetune"] |= _continued(workspace, champion)
        values["finetune"]["objective"]["replay"] = {
            "examples": str(material.earlier.path),
            "share": params.retrain.replay_share,
        }
    return parse_params(values, source="retrain")


def window_demands(params: Params, suite: str = WINDOW) -> dict[str, Any]:
    """Return what a retrain asks of the gate otherwise than the workspace does.

    It asks for a gain on the held-back rows of the window (``suite``) and for no other, at the
    level that the shipped policy ``refresh`` has for rows that few candidates are judged on; that
    nothing is worse anywhere it asks as ever, by the workspace's own margins. Earlier windows
    refuse only where they are shown to be worse: 100 rows cannot show that even equal answers are
    within 0.03, and would let no later version pass.
    """
    return {
        "superiority": [window_axis(params, suite)],
        "looks": policy_values("refresh")["looks"],
        "unsure_suites": [*params.gate.unsure_suites, f"{EARLIER}*"],
    }


def window_axis(params: Params, suite: str = WINDOW) -> str:
    """Return the metric of the window that decides: the problem's first one."""
    return f"{suite}/{HEADLINES[params.problem][0]}"


def _continued(workspace: Workspace, champion: int) -> dict[str, Any]:
    version = open_tracker(workspace).version(workspace.params.register_.model_name, champion)
    path = checkpoint_of(workspace, version).path
    return {"base_model": str(path), "base_digest": None, "pretraining": None}


def _ids_of(root: Path, source: str) -> set[str]:
    """Return the ids of the examples that ``ingest`` read from a raw file."""
    origins = pq.read_table(root / _ORIGINS)["source_file"].to_pylist()
    ids = pq.read_table(root / _EXAMPLES, columns=["example_id"])["example_id"].to_pylist()
    return {i for i, origin in zip(ids, origins, strict=True) if origin == source}


def _written(directory: Path, parts: dict[str, pa.Table]) -> Path:
    with atomic_directory(directory) as partial:
        for name, table in parts.items():
            pq.write_table(table, partial / f"{name}.parquet")
    return directory


def reference(directory: Path, name: str) -> DatasetRef:
    """Return one part of the material as a dataset."""
    path = directory / f"{name}.parquet"
    return DatasetRef(
        name=name,
        split=name,
        path=path,
        digest=file_digest(path, "md5"),
        n_examples=pq.read_metadata(path).num_rows,
    )
