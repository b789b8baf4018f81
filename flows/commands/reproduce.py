"""``holdfast reproduce``: a version rebuilt from its data and parameters, then compared."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flows.commands.evaluate import asked_version
from flows.pipeline import Call
from flows.prepare_data import Datasets, prepare_data
from flows.registry_access import checkpoint_of, open_tracker
from flows.retraining.kept_material import KeptMaterial, fetch_material
from flows.version_files import fetch_version_files, recorded_reports
from flows.workspace import Workspace, locked
from pipeline_steps.errors import DataError
from pipeline_steps.evaluation.evaluate import evaluate
from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.predictions_file import read_predictions
from pipeline_steps.types import (
    UNCOMPARED,
    Checkpoint,
    DatasetRef,
    ModelVersion,
    Predictions,
    Value,
)


class ReproducedSuite(Value):
    """The first headline metric of a suite, recorded and now; rows whose answer differs."""

    suite: str
    metric: str
    n: int
    recorded: float | None
    reproduced: float | None
    n_differing: int


class Reproduction(Value):
    """A version beside what its data and parameters give now.

    ``identical``: the weights have the same digest. ``same_answers``: every row of every suite is
    answered as by the registered weights. ``changed_libraries``: name -> (then, now).
    """

    version: int
    digest: str
    reproduced_digest: str
    identical: bool
    same_answers: bool
    suites: tuple[ReproducedSuite, ...]
    changed_libraries: dict[str, tuple[str, str]]
    changed_code: bool


class Learnt(Value):
    """What a version came of: rows to learn from, rows that decided when to stop, parameters."""

    train: DatasetRef
    valid: DatasetRef
    params: FinetuneParams


def reproduce_version(workspace: Workspace, number: int, *, call: Call) -> Reproduction:
    """Return the comparison of a version with a training from its recorded parameters.

    Nothing is registered; what is rebuilt lies in ``reproductions/`` of the state directory.

    Raises
    ------
    DataError
        If the rows here are not those that the version learnt from, and no run keeps them.
    """
    with locked(workspace):
        version = asked_version(workspace, number)
        datasets = prepare_data(workspace, call=call)
        checkpoint = call(checkpoint_of, workspace, version)
        learnt = call(learnt_from, workspace, version, checkpoint, datasets, "reproduce")
        files = fetch_version_files(workspace, version)
        rebuilt = call(rebuild, workspace, learnt, checkpoint)
        suites = [d for d in datasets.judged if d.kind not in UNCOMPARED]
        pairs = [
            (call(answers, workspace, checkpoint, d), call(answers, workspace, rebuilt, d))
            for d in suites
        ]
        reports = [evaluate(ours, workspace.params.evaluate) for _, ours in pairs]
        compared = _suites(pairs, reports, recorded_reports(files))
    then, now = checkpoint.provenance, rebuilt.provenance
    return Reproduction(
        version=version.version,
        digest=checkpoint.digest,
        reproduced_digest=rebuilt.digest,
        identical=checkpoint.digest == rebuilt.digest,
        same_answers=all(suite.n_differing == 0 for suite in compared),
        suites=tuple(compared),
        changed_libraries={
            name: (then.libraries.get(name, "none"), now.libraries.get(name, "none"))
            for name in sorted({*then.libraries, *now.libraries})
            if then.libraries.get(name) != now.libraries.get(name)
        },
        changed_code=then.code_version != now.code_version,
    )


def learnt_from(
    workspace: Workspace,
    version: ModelVersion,
    checkpoint: Checkpoint,
    datasets: Datasets,
    command: str,
) -> Learnt:
    """Return the rows and parameters that a version came of: today's rows, or kept ones.

    ``command`` is what was asked for, and is to be asked again with other rows.

    Raises
    ------
    DataError
        If they are neither here nor kept with a run of the version.
    """
    params = FinetuneParams.model_validate(checkpoint.parameters)
    params = params.model_copy(update={"base_digest": checkpoint.base_digest})
    here = (datasets.train.digest, datasets.valid.digest)
    if here == (checkpoint.train_digest, checkpoint.valid_digest):
        return Learnt(train=datasets.train, valid=datasets.valid, params=params)
    kept = fetch_material(workspace, version, checkpoint)
    if kept is None:
        raise _other_data(checkpoint, datasets, version.version, command)
    if kept.beginning.champion is not None:
        params = _gone_on(workspace, version.name, kept, params)
    return Learnt(train=kept.train, valid=kept.valid, params=params)


def _gone_on(
    workspace: Workspace, name: str, kept: KeptMaterial, params: FinetuneParams
) -> FinetuneParams:
    """Return the parameters of continual learning, with the places that they name as they are here.

    It began at the checkpoint of a version, and earlier rows came again from a file.
    """
    begun_at = open_tracker(workspace).version(name, int(kept.beginning.champion or 0))
    changed: dict[str, Any] = {"base_model": str(checkpoint_of(workspace, begun_at).path)}
    replay = params.objective.replay
    if replay is not None and kept.earlier is not None:
        again = replay.model_copy(update={"examples": str(kept.earlier.path)})
        changed["objective"] = params.objective.model_copy(update={"replay": again})
    return params.model_copy(update=changed)


def rebuild(workspace: Workspace, learnt: Learnt, checkpoint: Checkpoint) -> Checkpoint:
    """Return a checkpoint that was trained anew from what another learnt from."""
    from pipeline_steps.training.finetune import finetune

    home = workspace.state / "reproductions" / checkpoint.digest[:16]
    shutil.rmtree(home, ignore_errors=True)
    return finetune(
        learnt.train,
        learnt.valid,
        learnt.params,
        home / "checkpoint",
        work=home / "work",
        problem=checkpoint.problem,
    )


def answers(workspace: Workspace, checkpoint: Checkpoint, dataset: DatasetRef) -> Predictions:
    """Return a checkpoint's outputs on a suite; those of the same weights are read again."""
    from pipeline_steps.inference.predict import predict_all

    path = workspace.predictions_path(checkpoint.digest, dataset)
    return predict_all(checkpoint, [(dataset, path)], workspace.params.predict)[0]


def lines(found: Reproduction) -> str:
    """Return the comparison as people read it."""
    weights = "the same weights" if found.identical else "other weights"
    said = [f"version {found.version}: {weights} ({found.digest[:12]})"]
    if not found.identical:
        said[0] = said[0].removesuffix(")") + f", now {found.reproduced_digest[:12]})"
    for suite in found.suites:
        was, now = (_number(value) for value in (suite.recorded, suite.reproduced))
        said.append(
            f"{suite.suite}: {suite.metric} {now}, recorded {was}; "
            f"{suite.n_differing} of {suite.n} answers differ"
        )
    said += [f"{name}: {now}, then {was}" for name, (was, now) in found.changed_libraries.items()]
    if found.changed_code:
        said.append("the code of the training has changed since")
    return "\n".join(said)


def _other_data(
    checkpoint: Checkpoint, datasets: Datasets, version: int, command: str
) -> DataError:
    here, recorded, name = datasets.train.digest, checkpoint.train_digest, "train"
    if here == recorded:
        here, recorded, name = datasets.valid.digest, checkpoint.valid_digest, "valid"
    commit = checkpoint.provenance.git_commit or "the commit of its model card"
    return DataError(
        f"{name} here has digest {here}, version {version} learnt from {recorded}",
        expected="the rows that the version was made from",
        fix=f"git checkout {commit}; dvc pull; then: holdfast {command} {version}",
    )


def _suites(
    pairs: Sequence[tuple[Predictions, Predictions]],
    reports: Sequence[EvaluationReport],
    recorded: Sequence[EvaluationReport],
) -> list[ReproducedSuite]:
    known = {(report.suite, report.dataset_digest): report for report in recorded}
    found = []
    for (theirs, ours), report in zip(pairs, reports, strict=True):
        name = report.headline
        before = known.get((report.suite, report.dataset_digest))
        was, now = None if before is None else before.metric(name), report.metric(name)
        found.append(
            ReproducedSuite(
                suite=report.suite,
                metric=name,
                n=report.n,
                recorded=None if was is None else was.value,
                reproduced=None if now is None else now.value,
                n_differing=_n_differing(theirs.path, ours.path),
            )
        )
    return found


def _n_differing(theirs: Path, ours: Path) -> int:
    a, b = read_predictions(theirs).predicted, read_predictions(ours).predicted
    return sum(str(x) != str(y) for x, y in zip(a, b, strict=True))


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"
