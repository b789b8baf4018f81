"""Builders of raw files and of examples."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_steps.data_preparation.ingest import EXAMPLES_SCHEMA
from pipeline_steps.params import IngestParams


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
