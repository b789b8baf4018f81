"""Models of others, made in the test: Hugging Face directories, and a classifier behind HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from tiny_models import configurations, save_tokenizer
from transformers import (
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
)

_STEPS = 40

HEADS = {
    "text_classification": AutoModelForSequenceClassification,
    "ner": AutoModelForTokenClassification,
    "question_answering": AutoModelForQuestionAnswering,
}
NO_OPTIONS: dict[str, Any] = {
    **dict.fromkeys(("model", "data", "problem", "text_column", "label_column", "column")),
    **dict.fromkeys(("label", "suite", "noise", "max_length", "tracking_uri", "format")),
    **dict.fromkeys(
        ("header", "timeout", "batch_rows", "send_as", "report", "rewrite", "behaviour")
    ),
    "workers": 1,
}
"""What the command line hands on where no option of a model is given."""


def save_foreign_model(
    path: Path,
    labels: Sequence[str],
    *,
    problem: str = "text_classification",
    architecture: str = "bert",
    seed: int = 0,
    taught: Sequence[Mapping[str, Any]] = (),
    **config: Any,
) -> Path:
    """Return a model directory as ``save_pretrained`` writes it, fitted to rows if there are any."""
    torch.manual_seed(seed)
    shape = configurations()[architecture]
    shape.id2label = dict(enumerate(labels))
    shape.label2id = {label: place for place, label in enumerate(labels)}
    for name, value in config.items():
        setattr(shape, name, value)
    model = HEADS[problem].from_config(shape)
    save_tokenizer(path)
    if taught:
        _teach(model, path, taught, labels)
    model.save_pretrained(path)
    return path


def _teach(
    model: Any, path: Path, rows: Sequence[Mapping[str, Any]], labels: Sequence[str]
) -> None:
    """Fit a classifier to rows as well as some steps do."""
    tokenizer = AutoTokenizer.from_pretrained(path)
    inputs = tokenizer([row["text"] for row in rows], padding=True, return_tensors="pt")
    inputs.pop("token_type_ids", None)
    truth = torch.tensor([labels.index(row["label"]) for row in rows])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    model.train()
    for _ in range(_STEPS):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(**inputs).logits, truth).backward()
        optimizer.step()
    model.eval()


def scores_of(text: str) -> dict[str, float]:
    """Return what the served classifier says of a text."""
    words = text.lower().split()
    for_plus = 1 + 3 * words.count("good")
    total = for_plus + 1 + 3 * words.count("bad")
    return {"plus": for_plus / total, "minus": 1 - for_plus / total}


def all_scores(text: str) -> Any:
    return [{"label": label, "score": score} for label, score in scores_of(text).items()]


def best_score(text: str) -> Any:
    return max(all_scores(text), key=lambda item: item["score"])


def best_label(text: str) -> Any:
    return best_score(text)["label"]


@dataclass
class Served:
    """What the server is to do, and what it was asked.

    ``statuses`` are given to the first requests, in their order; ``page`` in place of any answer.
    """

    answer: Any = all_scores
    statuses: list[int] = field(default_factory=list)
    page: str | None = None
    seconds: float = 0.0
    url: str = ""
    bodies: list[Any] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)


@contextmanager
def classifier(served: Served) -> Iterator[Served]:
    """Yield a running server; ``url`` is its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(served, threading.Event()))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_port}/predict"
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(served: Served, never: threading.Event) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            served.bodies.append(body)
            served.headers.append(dict(self.headers))
            never.wait(served.seconds)
            status = served.statuses.pop(0) if served.statuses else 200
            answer = served.page or json.dumps(_answers(served, body))
            if status != 200:
                answer = f"no: {self.headers.get('Authorization')}"
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer.encode())))
            self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, *_: Any) -> None:
            return

    return Handler


def _answers(served: Served, body: Any) -> Any:
    if "inputs" in body:
        return [served.answer(text) for text in body["inputs"]]
    place = body["dataframe_split"]["columns"].index("text")
    return {"predictions": [served.answer(r[place]) for r in body["dataframe_split"]["data"]]}
