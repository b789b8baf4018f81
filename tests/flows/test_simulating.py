"""How a stream is played: what is kept of it, and how a service is asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from builders import structured_examples
from served_models import predictor_of
from toy_services import toy_service

from flows.serving import LoadedVersion
from flows.simulating import ChampionAnswers
from pipeline_steps.monitoring.simulation import Arrival
from pipeline_steps.monitoring.traffic import LoggedPrediction, TrafficLog
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.serve_params import Redaction
from pipeline_steps.serving.redaction import Redactor
from pipeline_steps.serving.tickets import Sender

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def arrivals(problem: str, n: int) -> list[Arrival]:
    rows = [{**row, "domain": "app"} for row in structured_examples(problem, n)]
    return [
        Arrival(f"a{i}", NOON + timedelta(minutes=i), row, "x", NOON, shifted=False)
        for i, row in enumerate(rows)
    ]


def kept(log: TrafficLog) -> list[LoggedPrediction]:
    return [row.prediction for row in log.read()]


@pytest.mark.parametrize("problem", ["ner", "response_selection", "relation_extraction"])
def test_what_is_played_is_kept_as_a_service_keeps_it(problem: str, tmp_path: Path) -> None:
    rules = (Redaction(pattern="card|message", replacement="..."),)
    model = LoadedVersion("m", 1, predictor_of(problem, tmp_path / "model"), {})
    coming, asked = arrivals(problem, 6), get_problem(problem)
    requests = [asked.request(arrival.row) for arrival in coming]
    with toy_service(tmp_path, model, redact=rules, batch_tokens=1) as service:
        for request in requests:
            service.submit([request], "r", Sender("app")).result(60)
        served = kept(service.log)
    log = TrafficLog(f"sqlite:///{tmp_path / 'played.db'}")
    ChampionAnswers(log, model, asked, Redactor(rules)).predict(coming)
    for one, other in zip(kept(log), served, strict=True):
        assert (one.example, one.output) == (other.example, other.output)
        assert (one.segment, one.embedding_digest) == (other.segment, other.embedding_digest)
        assert one.confidence == pytest.approx(other.confidence, abs=1e-5)
        assert one.probabilities == (other.probabilities and pytest.approx(other.probabilities))
    assert [(p.prediction_id, p.created_at) for p in kept(log)] == [(a.name, a.at) for a in coming]
    assert "..." in str([p.example for p in served])
    log.close()
