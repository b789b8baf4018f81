"""The champion's references: made once from its predictions of the test set, kept by digest."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from flows.monitoring.embedding import embedded, sampled
from flows.prepare_data import read_datasets
from flows.registry_access import champion_version, checkpoint_of
from flows.workspace import Workspace, locked
from pipeline_steps.digests import value_digest
from pipeline_steps.errors import ConfigurationError, DataError
from pipeline_steps.monitoring.losses import recorded_losses
from pipeline_steps.monitoring.monitored_rows import answer_text, text_of
from pipeline_steps.monitoring.reference import (
    Labelled,
    Reference,
    make_reference,
    read_reference,
    write_reference,
)
from pipeline_steps.monitoring.scores import ScoredRows, freeze
from pipeline_steps.predictions_file import PredictionTable, read_predictions
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.serving.redaction import Redactor
from pipeline_steps.types import DatasetRef, ModelVersion, Predictions

_EXAMPLE = ("example_id", "text", "text_pair", "label", "target", "domain")


def find_champion(workspace: Workspace) -> ModelVersion:
    """Return the version whose traffic is watched.

    Raises
    ------
    ConfigurationError
        If there is none yet.
    """
    version = champion_version(workspace)
    if version is None:
        raise ConfigurationError(
            "there is no champion to watch",
            expected="a model that was trained, judged and promoted",
            fix="holdfast train",
        )
    return version


def training_reference(workspace: Workspace, version: ModelVersion) -> Reference:
    """Return the champion's reference on the test set; the first call makes and keeps it."""
    directory = reference_directory(workspace, training_name(workspace, version))
    if not _is_made(directory):
        write_reference(directory, _make(workspace, version))
    return read_reference(directory)


def _is_made(directory: Path) -> bool:
    return (directory / "reference.json").exists()


def ensure_reference(workspace: Workspace) -> None:
    """Make the champion's reference where there is none yet, while nothing changes the data.

    Raises
    ------
    BusyError
        If there is none and another command holds the workspace.
    """
    version = find_champion(workspace)
    if not _is_made(reference_directory(workspace, training_name(workspace, version))):
        with locked(workspace):
            training_reference(workspace, version)


def training_name(workspace: Workspace, version: ModelVersion) -> str:
    """Return the name of a champion's reference: it says all that decides its content."""
    params = workspace.params
    kind = "training" if params.monitor.embeddings == "off" else "embedded"
    how = value_digest(
        {
            "redact": params.serve.model_dump(mode="json")["redact"],
            "seed": params.monitor.seed,
            "segments": params.monitor.strata == "segment",
        }
    )
    return f"{kind}-{version.checkpoint_digest[:16]}-{how[:8]}"


def keep_reference(workspace: Workspace, reference: Reference) -> None:
    """Write a reference under its own digest."""
    write_reference(reference_directory(workspace, reference.digest[:16]), reference)


def kept_reference(workspace: Workspace, digest: str, training: Reference) -> Reference:
    """Return the reference with a digest: the training one, or a kept one.

    Where a kept one is lost (cleaned away, or left on another machine) it is the training one: an
    accepted window cannot be made anew, and a monitor that stopped would watch nothing at all.
    """
    if digest == training.digest:
        return training
    try:
        return _read_kept(reference_directory(workspace, digest[:16]))
    except DataError:
        return training


@functools.lru_cache(maxsize=2)
def _read_kept(directory: Path) -> Reference:
    """Return a reference that is kept under its digest: it never changes, so it is read once."""
    return read_reference(directory)


def reference_directory(workspace: Workspace, name: str) -> Path:
    """Return where a reference lies."""
    return workspace.state / "references" / name


def _make(workspace: Workspace, version: ModelVersion) -> Reference:
    datasets, problem = read_datasets(workspace.root), workspace.params.problem
    predicted = _predictions(workspace, version, datasets.test)
    table = read_predictions(predicted)
    rows = {row["example_id"]: row for row in _rows(datasets.test.path)}
    ordered = [rows[example_id] for example_id in table.example_ids]
    train = _rows(datasets.train.path)
    labels = [row["label"] for row in train] if get_problem(problem).has_label else None
    losses = recorded_losses(problem, table.truth.tolist(), table.predicted.tolist())
    with_logits = isinstance(table, PredictionTable)
    labelled = Labelled(losses, table.truth.tolist(), table.labels if with_logits else ())
    learnt = _asked(workspace, train)
    asked, answered = _as_logged(workspace, ordered, table.predicted.tolist())
    return make_reference(
        ScoredRows(
            asked,
            answered,
            np.asarray(table.score, dtype=np.float64),
            _softmax(table.logits) if isinstance(table, PredictionTable) else None,
            _vectors(workspace, asked),
        ),
        labelled,
        freeze(learnt, labels, _vectors(workspace, sampled(learnt, workspace.params.monitor.seed))),
        checkpoint_digest=version.checkpoint_digest,
        dataset_digest=datasets.test.digest,
        strata=_strata(workspace, ordered),
        seed=workspace.params.monitor.seed,
    )


def _vectors(workspace: Workspace, texts: list[str]) -> Any:
    return None if workspace.params.monitor.embeddings == "off" else embedded(texts)


def _predictions(workspace: Workspace, version: ModelVersion, test: DatasetRef) -> Predictions:
    """Return the champion's outputs on the test set: those of its run where they lie here."""
    from pipeline_steps.inference.predict import predict_all

    checkpoint = checkpoint_of(workspace, version)
    path = workspace.predictions_path(checkpoint.digest, test)
    return predict_all(checkpoint, [(test, path)], workspace.params.predict)[0]


def _rows(path: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = pq.read_table(path, columns=list(_EXAMPLE)).to_pylist()
    return rows


def _asked(workspace: Workspace, rows: list[dict[str, Any]]) -> list[str]:
    """Return the inputs of examples as the log would keep them, each as one text."""
    problem, redactor = get_problem(workspace.params.problem), _redactor(workspace)
    return [text_of(redactor.kept(problem.request(row), {})[0]) for row in rows]


def _as_logged(
    workspace: Workspace, rows: list[dict[str, Any]], predicted: list[str]
) -> tuple[list[str], list[str]]:
    """Return inputs and answers of examples as the log would keep them.

    What the service redacts is redacted here too, or each row of traffic would look strange.
    """
    problem, redactor = get_problem(workspace.params.problem), _redactor(workspace)
    asked, answered = [], []
    for row, one in zip(rows, predicted, strict=True):
        request, said = problem.request(row), problem.answer(one)
        words = {"tokens": request["tokens"]} if "tags" in said else {}
        example, output = redactor.kept(request, {**words, **said})
        asked.append(text_of(example))
        answered.append(answer_text(output))
    return asked, answered


def _redactor(workspace: Workspace) -> Redactor:
    return Redactor(workspace.params.serve.redact)


def _strata(workspace: Workspace, rows: list[dict[str, Any]]) -> list[str] | None:
    """Return the domain of each row where traffic is compared by segment; else no strata."""
    if workspace.params.monitor.strata != "segment":
        return None
    return [row["domain"] or "" for row in rows]


def _softmax(logits: Any) -> Any:
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)
