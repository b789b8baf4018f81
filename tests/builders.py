"""Builders of raw files and of examples."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_steps.data_params import IngestParams
from pipeline_steps.data_preparation.examples import EXAMPLES_SCHEMA


def rows(n: int, labels: int = 3) -> list[dict[str, Any]]:
    """Return n distinct rows with labels in turn."""
    words = ["card", "transfer", "refund", "pin", "fee", "login", "address", "loan"]
    return [
        {
            "text": f"message {i * 7919} about my {words[i % 8]} and {words[i // 8 % 8]} number {i}",
            "label": f"label{i % labels}",
        }
        for i in range(n)
    ]


def write_jsonl(path: Path, content: Iterable[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in content), encoding="utf-8")
    return path


def ingest_params(*sources: dict[str, Any], **settings: Any) -> IngestParams:
    return IngestParams.model_validate({"sources": list(sources), **settings})


def examples_table(content: list[dict[str, Any]]) -> pa.Table:
    """Return an examples table; what a row does not say is null, its id is its position."""
    filled = [
        {**dict.fromkeys(EXAMPLES_SCHEMA.names), "role": "auto", "example_id": f"r{i}", **row}
        for i, row in enumerate(content)
    ]
    return pa.Table.from_pylist(filled, schema=EXAMPLES_SCHEMA)


def write_examples(path: Path, content: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(examples_table(content), path)
    return path


def stage_command(stage: str) -> list[str]:
    return [sys.executable, "-P", "-m", "pipeline_steps.data_preparation", stage]


def structured_rows(problem: str, n: int) -> list[dict[str, Any]]:
    """Return n raw rows of a problem that a tiny model can learn: words of its vocabulary."""
    return [_MAKERS[problem](i) for i in range(n)]


def _tagged(i: int) -> dict[str, Any]:
    words = ["the", "message", "about", "my"] * (1 + i % 3)
    entity = (["good", "film"], ["bad", "loan"])[i % 2]
    tags = (["B-work", "I-work"], ["B-debt", "I-debt"])[i % 2]
    at = i % (len(words) + 1)
    return {
        "tokens": [*words[:at], *entity, *words[at:], "number", str(i)],
        "tags": [*["O"] * at, *tags, *["O"] * (len(words) - at + 2)],
    }


def _related(i: int) -> dict[str, Any]:
    head, middle, tail = ("card", "film")[i % 3 == 0], ("is", "was not")[i % 2], "fee"
    text = f"the {head} {middle} my {tail} number {i}"
    start = text.index(tail)
    return {
        "text": text,
        "head_span": [4, 4 + len(head)],
        "tail_span": [start, start + len(tail)],
        "relation": ("Cause(e1,e2)", "Cause(e2,e1)")[i % 2],
    }


def _asked(i: int) -> dict[str, Any]:
    word = ("card", "loan", "film")[i % 3]
    context = f"it was good and {word} was very bad number {i // 2}"
    found = [] if i % 4 == 3 else [{"text": word, "start": context.index(word)}]
    question = f"is this number {i}" if found else f"that was not number {i}"
    return {"context": context, "question": question, "answers": found}


def _translated(i: int) -> dict[str, Any]:
    words = [_VOCABULARY[(i // 8**place) % 8] for place in range(3)]
    other = [_VOCABULARY[7 - _VOCABULARY.index(word)] for word in words]
    return {"source": " ".join(words), "target": " ".join(other)}


def _summarised(i: int) -> dict[str, Any]:
    words = [_VOCABULARY[(i // 8**place) % 8] for place in range(3)]
    return {"document": " ".join(["the", words[0], "is", *words, "very"]), "summary": words[0]}


def _talked(i: int) -> dict[str, Any]:
    words = [_VOCABULARY[(i // 8**place) % 8] for place in range(3)]
    said = [("user", " ".join(words)), ("assistant", "is it very bad"), ("user", f"the {words[1]}")]
    messages = [{"role": role, "content": text} for role, text in said]
    return {"messages": [*messages, {"role": "assistant", "content": f"my {words[1]}"}]}


def _chosen(i: int) -> dict[str, Any]:
    replies = [f"my {_VOCABULARY[(i + step) % 8]} is good" for step in range(3)]
    right = i % 3
    asked = f"the {_VOCABULARY[(i + right) % 8]} is bad number {i}"
    return {"messages": [{"role": "user", "content": asked}], "candidates": replies, "right": right}


def _several(i: int) -> dict[str, Any]:
    words = [word for bit, word in enumerate(("good", "bad")) if i >> bit & 1]
    text = " ".join([*words * 3, "number", str(i)])
    return {"text": text, "labels": [f"is {word}" for word in words]}


_VOCABULARY = ["card", "transfer", "refund", "pin", "fee", "login", "address", "loan"]
_MAKERS = {
    "multi_label_classification": _several,
    "translation": _translated,
    "summarisation": _summarised,
    "dialogue": _talked,
    "response_selection": _chosen,
    "ner": _tagged,
    "relation_extraction": _related,
    "question_answering": _asked,
}
STRUCTURED = tuple(_MAKERS)
"""Every problem whose answer is more than one label."""


def structured_examples(problem: str, n: int) -> list[dict[str, Any]]:
    """Return n examples as ingest makes them of :func:`structured_rows`."""
    from pipeline_steps.problem_defaults import COLUMNS
    from pipeline_steps.problems.catalog import get_problem

    asked, columns = get_problem(problem), COLUMNS[problem]
    examples = []
    for raw in structured_rows(problem, n):
        content = asked.read(lambda name, raw=raw: raw.get(columns.get(name, name)))
        label = raw.get("relation")
        examples.append(
            {"text": content.text, "text_pair": content.text_pair, "target": content.target,
             "label": label}
        )  # fmt: skip
    return examples
