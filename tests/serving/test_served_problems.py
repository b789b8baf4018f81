"""A model of each problem behind the service: batches and company change no answer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from builders import structured_examples
from fastapi.testclient import TestClient
from served_models import OneVersion, predictor_of
from tiny_models import WORDS
from toy_services import toy_service

from flows.serving import LoadedVersion
from pipeline_steps.inference.embedding_digests import BITS
from pipeline_steps.inference.fastest_precision import in_precision
from pipeline_steps.monitoring.traffic import TrafficLog
from pipeline_steps.problems.catalog import PROBLEMS, get_problem
from pipeline_steps.serve_params import ServeParams
from pipeline_steps.serving.application import build_application
from pipeline_steps.serving.service import Service
from pipeline_steps.serving.swapping import ChampionWatch, sample_request

LABELS = {"multi_label_classification": ["a"], "ner": ["O"], "response_selection": 1}


def requests_of(problem: str) -> list[Mapping[str, Any]]:
    if problem == "text_classification":
        return [{"text": " ".join(WORDS[n : 2 * n + 1])} for n in range(12)]
    found = [get_problem(problem).request(row) for row in structured_examples(problem, 11)]
    return [*found, sample_request(problem)]


@pytest.mark.parametrize("problem", sorted(PROBLEMS))
def test_what_is_served_is_what_the_model_says_alone(problem: str, tmp_path: Path) -> None:
    predictor = predictor_of(problem, tmp_path / "model")
    requests = requests_of(problem)
    alone = [predictor.answer([request])[0] for request in requests]
    model = LoadedVersion("m", 1, predictor, {"precision": "fp32"})
    with toy_service(tmp_path, model, batch_tokens=256, max_wait_ms=100) as service:
        futures = [service.submit(requests[:5], "r1"), service.submit(requests[5:], "r2")]
        answers = [answer for future in futures for answer in future.result(60)]
        kept = service.log.read()
    for answer, expected in zip(answers, alone, strict=True):
        for name, value in expected.items():
            if isinstance(value, float | dict):
                assert answer.said[name] == pytest.approx(value, abs=1e-5)
            else:
                assert answer.said[name] == value
    assert len(kept) == len(requests)
    assert all(row.prediction.output for row in kept)
    digests = [row.prediction.embedding_digest or "" for row in kept]
    assert {len(digest) for digest in digests} == {BITS // 4}
    assert len(set(digests)) > 1


@pytest.mark.parametrize("problem", sorted(PROBLEMS))
def test_lengths_are_told_row_by_row(problem: str, tmp_path: Path) -> None:
    predictor = predictor_of(problem, tmp_path)
    requests = requests_of(problem)
    lengths = [row.tokens for row in predictor.prepare(requests)]
    assert lengths == [predictor.prepare([request])[0].tokens for request in requests]
    assert all(length > 0 for length in lengths)
    assert predictor.prepare([]) == []


@pytest.mark.parametrize("problem", sorted(PROBLEMS))
def test_a_request_over_http_is_answered_logged_and_labelled(problem: str, tmp_path: Path) -> None:
    predictor = predictor_of(problem, tmp_path / "model")
    requests = [dict(request) for request in requests_of(problem)[-4:]]
    alone = [predictor.answer([request])[0] for request in requests]
    log = TrafficLog(f"sqlite:///{tmp_path / 'traffic.db'}")
    service = Service(ServeParams(poll_seconds=60), log)
    watch = ChampionWatch(
        service, OneVersion(LoadedVersion("m", 1, predictor, {})), problem, say=print
    )
    with TestClient(build_application(service, problem, watch)) as client:
        watch.look()
        answered = client.post("/predict", json={"inputs": requests})
        assert answered.status_code == 200, answered.text
        predictions = answered.json()["predictions"]
        ids = [prediction["prediction_id"] for prediction in predictions]
        late = [{"prediction_id": id_, "label": LABELS.get(problem, "a")} for id_ in ids]
        assert client.post("/feedback", json={"labels": late}).json()["added"] == len(requests)
    fields = [field.name for field in get_problem(problem).outputs]
    for prediction, expected in zip(predictions, alone, strict=True):
        assert {name: prediction[name] for name in fields} == close_to(
            {name: expected[name] for name in fields}
        )
    rows = {row.prediction.prediction_id: row for row in log.read()}
    assert [rows[id_].label.label for id_ in ids] == [given["label"] for given in late]
    assert all(row.prediction.output and row.prediction.example for row in rows.values())
    log.close()


def close_to(value: Any) -> Any:
    """Return a value that equals what differs from it by the rounding of a batch."""
    if isinstance(value, float):
        return pytest.approx(value, abs=1e-5)
    if isinstance(value, dict):
        return {name: close_to(item) for name, item in value.items()}
    return [close_to(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("problem", sorted(PROBLEMS))
def test_every_problem_is_answered_in_every_precision(problem: str, tmp_path: Path) -> None:
    predictor = predictor_of(problem, tmp_path)
    requests = requests_of(problem)[:3]
    expected = [set(answer) for answer in predictor.answer(requests)]
    for precision in ("bf16", "int8"):
        rounded = in_precision(predictor, precision)
        assert [set(answer) for answer in rounded.answer(requests)] == expected
        assert [set(a) for a in rounded.answer_prepared(rounded.prepare(requests))] == expected
