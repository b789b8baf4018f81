"""The bound that no attack goes below: a vote of a checkpoint over texts with words left out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.prepare_data import Datasets
from flows.workspace import Workspace
from pipeline_steps.digests import file_digest, value_digest
from pipeline_steps.evaluation.attacks.attack import drawn_rows
from pipeline_steps.evaluation.attacks.certify import (
    Certificate,
    Labeller,
    Smoothing,
    certified_metrics,
    certify,
)
from pipeline_steps.evaluation.attacks.passage import Row
from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.files import write_text_atomically
from pipeline_steps.judging_params import CertifyParams
from pipeline_steps.types import Checkpoint

if TYPE_CHECKING:
    from pipeline_steps.inference.predictor import Predictor

CERTIFIED = "certified"


def certify_rows(
    workspace: Workspace, datasets: Datasets, checkpoint: Checkpoint
) -> list[EvaluationReport]:
    """Return the report of the certified bound, or none where ``attack.certify`` is null.

    What was certified before is read from its file.
    """
    asked = workspace.params.attack.certify
    if asked is None:
        return []
    how = value_digest(asked.model_dump(mode="json"))[:8]
    path = workspace.attack_path(checkpoint.digest, datasets.test, CERTIFIED, f"-{how}")
    path = path.with_suffix(".json")
    if not path.exists():
        rows = _rows(datasets.test.path, asked.n_examples, workspace.params.attack.seed)
        found = _certified(checkpoint.path, rows, asked, workspace.params.attack.seed)
        write_text_atomically(path, json.dumps(found, ensure_ascii=False))
    found = json.loads(path.read_text(encoding="utf-8"))
    certificates = [Certificate.model_validate(row["certificate"]) for row in found]
    confidence = workspace.params.evaluate.confidence
    return [
        EvaluationReport(
            checkpoint_digest=checkpoint.digest,
            dataset_digest=value_digest([datasets.test.digest, [row["id"] for row in found]]),
            predictions_digest=file_digest(path),
            suite=CERTIFIED,
            kind="certified",
            n=len(found),
            metrics=certified_metrics(certificates, [row["truth"] for row in found], confidence),
            headlines=("smoothed_accuracy", "certified_accuracy_1"),
        )
    ]


def _rows(path: Path, n: int, seed: int) -> list[Row]:
    import pyarrow.parquet as pq

    return drawn_rows(pq.read_table(path).to_pylist(), n, seed)


def _certified(
    checkpoint: Path, rows: Sequence[Row], asked: CertifyParams, seed: int
) -> list[dict[str, Any]]:
    from pipeline_steps.inference.predictor import Predictor

    predictor = Predictor.from_checkpoint(checkpoint)
    smoothing = Smoothing.model_validate(asked.model_dump(exclude={"n_examples"}))
    return [
        {
            "id": row["example_id"],
            "truth": row["label"],
            "certificate": certify(
                row["text"],
                _labeller(predictor, row["text_pair"]),
                smoothing,
                int(value_digest([seed, row["example_id"]])[:12], 16),
            ).model_dump(mode="json"),
        }
        for row in rows
    ]


def _labeller(predictor: Predictor, pair: str | None) -> Labeller:
    """Return the labels of texts beside a second one that stays whole; each text is read once."""

    def labels(texts: Sequence[str]) -> list[str]:
        different = list(dict.fromkeys(texts))
        pairs = None if pair is None else [pair] * len(different)
        places = predictor.logits(different, pairs).argmax(axis=1)
        known = {t: predictor.labels[place] for t, place in zip(different, places, strict=True)}
        return [known[text] for text in texts]

    return labels
