"""predict -> evaluate -> gate -> promote, for a version that is registered already.

What is known of a version changes after its training: labelled traffic, another champion, fresh
rows, another policy. It is judged on all of that as ``train`` would judge it, by the policy that
it owes (a version of a retrain: a gain on its window), with the weights that are registered.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace

from flows.pipeline import Call, call_directly
from flows.prepare_data import Datasets, prepare_data
from flows.registry_access import checkpoint_of, open_tracker
from flows.results import RECORD_FILE, TrainResult
from flows.retraining.kept_material import fetch_material
from flows.retraining.version_policy import version_policy
from flows.train import Registered, finished_run
from flows.training_plan import plan_judging
from flows.version_files import fetch_version_files
from flows.workspace import Workspace, locked
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.types import Checkpoint, DatasetRef, ModelVersion, Value


class Rows(Value):
    """Rows to judge a version on, and what is known of those that it learnt from."""

    datasets: Datasets
    learnt: tuple[DatasetRef, DatasetRef]


def judge_version(
    workspace: Workspace, number: int, *, call: Call = call_directly, may_promote: bool = True
) -> TrainResult:
    """Return the result of judging a registered version on what is known today.

    The verdict goes to the ledger and to a run of its own; the version is promoted where it is
    PROMOTE. Where nothing has changed since its last verdict, that is the answer.

    Parameters
    ----------
    workspace : Workspace
        Held meanwhile.
    number : int
        Of the version.
    call : Call
        Calls the steps.
    may_promote : bool
        Without, a version that the gate lets pass stays challenger.

    Raises
    ------
    RegistryError
        If there is no such version.
    EvidenceError
        If it is one of a retrain whose window is no suite any more.
    """
    started = time.perf_counter()
    with locked(workspace):
        result = _judged(workspace, number, call, may_promote)
    return result.model_copy(update={"seconds": round(time.perf_counter() - started, 2)})


def _judged(workspace: Workspace, number: int, call: Call, may_promote: bool) -> TrainResult:
    version = open_tracker(workspace).version(workspace.params.register_.model_name, number)
    datasets = prepare_data(workspace, call=call)
    checkpoint = call(checkpoint_of, workspace, version)
    rows = call(rows_for, workspace, version, checkpoint, datasets)
    owed = {
        "gate": version_policy(workspace, number),
        "finetune": FinetuneParams.model_validate(checkpoint.parameters),
    }
    as_trained = replace(workspace, params=workspace.params.model_copy(update=owed))
    plan = call(plan_judging, as_trained, rows.datasets, version, checkpoint)
    return finished_run(
        as_trained,
        rows.datasets,
        plan,
        call=call,
        may_promote=may_promote,
        registered=Registered(checkpoint=checkpoint, learnt=rows.learnt),
    )


def rows_for(
    workspace: Workspace, version: ModelVersion, checkpoint: Checkpoint, datasets: Datasets
) -> Rows:
    """Return today's suites with the rows that a version learnt from: today's, or kept ones.

    Of a version that learnt from neither, digest and number of its rows are known, and today's
    validation rows stand in for its own: they only fit the temperature.
    """
    here = (datasets.train.digest, datasets.valid.digest)
    if here == (checkpoint.train_digest, checkpoint.valid_digest):
        return Rows(datasets=datasets, learnt=(datasets.train, datasets.valid))
    kept = fetch_material(workspace, version, checkpoint)
    if kept is not None:
        same = datasets.model_copy(update={"train": kept.train, "valid": kept.valid})
        return Rows(datasets=same, learnt=(kept.train, kept.valid))
    text = (fetch_version_files(workspace, version) / RECORD_FILE).read_text(encoding="utf-8")
    sizes = json.loads(text)["sizes"]
    digests = {"train": checkpoint.train_digest, "valid": checkpoint.valid_digest}
    train, valid = (
        known.model_copy(update={"digest": digests[known.name], "n_examples": sizes[known.name]})
        for known in (datasets.train, datasets.valid)
    )
    return Rows(datasets=datasets, learnt=(train, valid))
