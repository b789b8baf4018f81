"""A served version, judged over HTTP: asked with every field that its problem has."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from builders import structured_examples
from served_models import OneVersion, predictor_of

from flows.foreign.named import NamedModel
from flows.foreign.opening import opened_victim, with_labels
from flows.foreign.served import SERVED
from flows.serving import LoadedVersion
from flows.victims import CheckpointVictim
from pipeline_steps.errors import EndpointError
from pipeline_steps.inference.endpoint import _body
from pipeline_steps.inference.predictor import Predictor
from pipeline_steps.monitoring.traffic import TrafficLog
from pipeline_steps.serve_params import ServeParams
from pipeline_steps.serving.application import build_application
from pipeline_steps.serving.service import Service
from pipeline_steps.serving.swapping import ChampionWatch


@contextmanager
def serving(predictor: Predictor, problem: str, directory: Path) -> Iterator[str]:
    """Yield the address of the real application around a model, in a thread of this process."""
    log = TrafficLog(f"sqlite:///{directory / 'traffic.db'}")
    service = Service(ServeParams(poll_seconds=60), log)
    watch = ChampionWatch(
        service, OneVersion(LoadedVersion("m", 1, predictor, {})), problem, say=print
    )
    application = build_application(service, problem, watch)
    server = uvicorn.Server(uvicorn.Config(application, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not (server.started and service.ready):
            assert thread.is_alive()
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/predict"
    finally:
        server.should_exit = True
        thread.join()
        log.close()


def rows_of(problem: str) -> list[dict[str, Any]]:
    if problem == "text_classification":
        texts = ("the good card", "a bad card", "good")
        labels = ("a", "b", "a")
        return [
            {"text": t, "text_pair": p, "label": label, "target": None}
            for t, p, label in zip(texts, (None, "very bad", None), labels, strict=True)
        ]
    return structured_examples(problem, 4)


@pytest.mark.parametrize("problem", sorted(SERVED))
def test_a_service_of_holdfast_is_judged_as_its_model_is(problem: str, tmp_path: Path) -> None:
    predictor = predictor_of(problem, tmp_path / "model")
    rows = [{"example_id": str(n), **row} for n, row in enumerate(rows_of(problem))]
    alone = CheckpointVictim(predictor)(rows)
    with serving(predictor, problem, tmp_path) as url:
        asked = NamedModel(address=url, kind="endpoint", problem=problem, format="holdfast")
        named = with_labels(asked, rows)
        served = opened_victim(named)(rows)
        if problem == "relation_extraction":
            plain = opened_victim(named.model_copy(update={"format": "huggingface"}))
            assert [a.predicted for a in plain(rows)] == [a.predicted for a in served]
        if problem == "multi_label_classification":
            bare = named.model_copy(update={"format": "huggingface"})
            with pytest.raises(EndpointError, match="answered 422") as refused:
                opened_victim(bare)(rows)
            assert "--format holdfast" in refused.value.fix
    assert [a.predicted for a in served] == [a.predicted for a in alone]
    assert [a.truth for a in served] == [a.truth for a in alone]
    assert [a.confidence for a in served] == pytest.approx([a.confidence for a in alone], abs=1e-5)


def test_a_row_is_sent_with_all_of_its_fields_or_bare_where_it_has_but_one() -> None:
    request = {"question": "who", "context": "he was"}
    assert _body([request], "huggingface") == {"inputs": [request]}
    assert _body([{"text": "a card"}], "huggingface") == {"inputs": ["a card"]}
    assert _body([{"text": "a card"}], "holdfast") == {"inputs": [{"text": "a card"}]}
