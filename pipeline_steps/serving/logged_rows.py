"""What the traffic log keeps of a row and its answer: the same, whoever asked the model."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pipeline_steps.serving.identifiers import prediction_id
from pipeline_steps.serving.redaction import Redactor
from pipeline_steps.serving.tickets import Row, VersionedModel
from pipeline_steps.traffic_rows import LoggedPrediction, unchecked

_DIGITS = 6


def answers_and_digests(
    rows: list[Row], model: VersionedModel
) -> list[tuple[Mapping[str, Any], str | None]]:
    """Return a model's answers, each with the digest of its embedding.

    What another model has prepared is read anew.
    """
    known = all(row.prepared_by is model for row in rows)
    prepared = [r.prepared for r in rows] if known else model.prepare([r.request for r in rows])
    said = model.answer_prepared(list(prepared))
    return list(zip(said, model.embedding_digests(list(prepared)), strict=True))


def logged(
    row: Row,
    said: Mapping[str, Any],
    digest: str | None,
    model: VersionedModel,
    redactor: Redactor,
) -> LoggedPrediction:
    """Return what is kept of a row and its answer.

    What comes from inside needs no second check, so none is made.
    """
    example, output = redactor.kept(row.request, said)
    probabilities = said.get("scores")
    fields = {
        "prediction_id": prediction_id(),
        "request_id": row.ticket.request_id,
        "created_at": datetime.now(UTC),
        "model_name": model.name,
        "version": model.version,
        "example": example,
        "output": output,
        "probabilities": probabilities
        and {name: float(f"{value:.{_DIGITS}g}") for name, value in probabilities.items()},
        "confidence": said.get("score"),
        "segment": row.ticket.sender.segment,
        "session": row.ticket.sender.session,
        "embedding_digest": digest,
    }
    return unchecked(LoggedPrediction, fields)
