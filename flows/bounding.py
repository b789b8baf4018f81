"""What bounds all attacks of a kind: a vote over shortened texts, and moves of word vectors."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from flows.prepare_data import Datasets
from flows.victims import Victim, exact_victim, refuse_without_vectors
from flows.workspace import Workspace
from pipeline_steps.digests import value_digest
from pipeline_steps.errors import ConfigurationError
from pipeline_steps.evaluation.attacks.attack import drawn_rows
from pipeline_steps.evaluation.attacks.ball import Reached, ball_metrics
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
from pipeline_steps.judging_params import AttackParams, BallParams, CertifyParams
from pipeline_steps.types import Checkpoint

CERTIFIED, BALL = "certified", "embedding_ball"
Found = list[dict[str, Any]]


def bound_rows(
    workspace: Workspace, datasets: Datasets, checkpoint: Checkpoint
) -> list[EvaluationReport]:
    """Return the reports of ``attack.certify`` and ``attack.ball``; none of those that are null.

    What was found before is read from its file.
    """
    import pyarrow.parquet as pq

    params = workspace.params.attack

    def kept(name: str, asked: CertifyParams | BallParams, find: Callable[[], Found]) -> Found:
        how = value_digest(asked.model_dump(mode="json"))[:8]
        path = workspace.attack_path(checkpoint.digest, datasets.test, name, f"-{how}")
        path = path.with_suffix(".json")
        if not path.exists():
            write_text_atomically(path, json.dumps(find(), ensure_ascii=False))
        found: Found = json.loads(path.read_text(encoding="utf-8"))
        return found

    def opened() -> Victim:
        return exact_victim(checkpoint.path)

    if params.certify is None and params.ball is None:
        return []
    rows = pq.read_table(datasets.test.path).to_pylist()
    names = {"checkpoint_digest": checkpoint.digest, "dataset_digest": datasets.test.digest}
    return bounds(opened, rows, params, workspace.params.evaluate.confidence, names, kept)


def bounds(
    opened: Callable[[], Victim],
    rows: Sequence[Row],
    params: AttackParams,
    confidence: float,
    names: dict[str, str],
    kept: Callable[[str, Any, Callable[[], Found]], Found] = lambda _name, _asked, find: find(),
) -> list[EvaluationReport]:
    """Return the reports of the bounds that ``attack`` asks for.

    Parameters
    ----------
    opened : callable
        Returns the victim, when it is first needed.
    rows : sequence of mapping
        What rows are drawn from.
    params : AttackParams
        Which bounds, of how many rows, by which seed.
    confidence : float
        Coverage of the intervals.
    names : dict
        ``checkpoint_digest`` and ``dataset_digest`` of model and rows.
    kept : callable
        Returns what was found before, or finds it.

    Raises
    ------
    ConfigurationError
        If word vectors are to be moved of a model that runs elsewhere or has none of its own.
    """
    reports, certify_, ball = [], params.certify, params.ball
    if certify_ is not None:
        drawn = drawn_rows(rows, certify_.n_examples, params.seed)
        found = kept(CERTIFIED, certify_, lambda: certified(opened(), drawn, certify_, params.seed))
        reports.append(_certified_report(found, confidence, names))
    if ball is not None:
        drawn = drawn_rows(rows, ball.n_examples, params.seed)
        found = kept(BALL, ball, lambda: within_ball(opened(), drawn, ball))
        reports.append(_ball_report(found, ball, confidence, names))
    return reports


def certified(victim: Victim, rows: Sequence[Row], asked: CertifyParams, seed: int) -> Found:
    """Return the certificate of each row: what edits of its words cannot change the vote."""
    smoothing = Smoothing.model_validate(asked.model_dump(exclude={"n_examples"}))
    return [
        {
            "id": row["example_id"],
            "truth": row["label"],
            "certificate": certify(
                row["text"],
                _labeller(victim, row),
                smoothing,
                int(value_digest([seed, row["example_id"]])[:12], 16),
            ).model_dump(mode="json"),
        }
        for row in rows
    ]


def within_ball(victim: Victim, rows: Sequence[Row], asked: BallParams) -> Found:
    """Return for each row the radius of the first ball around its word vectors that breaks it."""
    if victim.predictor is None:
        raise ConfigurationError(
            "moves of word vectors are asked for, of a model that runs elsewhere",
            expected="a model directory, whose weights are read here",
            fix="leave the ball out; a certificate needs answers only: --certify N",
        )
    refuse_without_vectors(victim.predictor, "the ball")
    from pipeline_steps.inference.embedding_ball import Ball, smallest_breaking

    texts, pairs = [row["text"] for row in rows], [row["text_pair"] for row in rows]
    reached = smallest_breaking(
        victim.predictor,
        texts,
        None if all(pair is None for pair in pairs) else pairs,
        [row["label"] for row in rows],
        [Ball(asked.norm, radius, asked.steps) for radius in asked.radii],
    )
    return [
        {"id": row["example_id"], "radius": radius}
        for row, radius in zip(rows, reached, strict=True)
    ]


def _certified_report(found: Found, confidence: float, names: dict[str, str]) -> EvaluationReport:
    certificates = [Certificate.model_validate(row["certificate"]) for row in found]
    return EvaluationReport(
        **_about(found, names),
        suite=CERTIFIED,
        kind="certified",
        metrics=certified_metrics(certificates, [row["truth"] for row in found], confidence),
        headlines=("smoothed_accuracy", "certified_accuracy_1"),
    )


def _ball_report(
    found: Found, asked: BallParams, confidence: float, names: dict[str, str]
) -> EvaluationReport:
    reached: list[Reached] = [row["radius"] for row in found]
    metrics = ball_metrics(reached, asked.radii, asked.norm, confidence)
    return EvaluationReport(
        **_about(found, names),
        suite=BALL,
        kind="embedding_ball",
        metrics=metrics,
        headlines=(metrics[0].name, metrics[1].name),
    )


def _about(found: Found, names: dict[str, str]) -> dict[str, Any]:
    rows = [row["id"] for row in found]
    return {
        "checkpoint_digest": names["checkpoint_digest"],
        "dataset_digest": value_digest([names["dataset_digest"], rows]),
        "predictions_digest": value_digest(found),
        "n": len(found),
    }


def _labeller(victim: Victim, row: Row) -> Labeller:
    """Return the labels of texts in the place of a row's own; each text is read once."""

    def labels(texts: Sequence[str]) -> list[str]:
        different = list(dict.fromkeys(texts))
        answers = victim([{**row, "text": text} for text in different])
        known = {text: answer.predicted for text, answer in zip(different, answers, strict=True)}
        return [known[text] for text in texts]

    return labels
