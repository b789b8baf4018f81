"""The workspaces of ``bench_robust.py``: a dataset, or a named part of it, and its suites."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

SEVERITY = 3
LETTERS = ("typos", "edits", "ocr", "misspellings", "confusables", "zero_width", "homophones", "casing", "punctuation", "whitespace")  # fmt: skip
WORDS = ("contractions", "word_loss", "word_swap", "truncation", "appended_text")


@dataclass(frozen=True)
class Rows:
    """How many rows of each file are used, evenly taken; ``None``: all."""

    train: int | None = None
    test: int | None = None
    suite: int | None = None
    noise: tuple[str, ...] = (*LETTERS, *WORDS)
    """Kinds of noise that are put on the test rows."""


def prepared(work: Path, data: Path, rows: Rows) -> Path:
    """Return the workspace of a dataset after its data stages have run; made once."""
    from flows.commands.init import init_workspace
    from flows.prepare_data import prepare_data
    from flows.workspace import Workspace

    workspace = work / data.name
    if (workspace / "dvc.lock").exists():
        return workspace
    known = labels_in(data / "train.jsonl.gz")
    parts = work / f"{data.name}-files"
    sizes = {"train": rows.train, "valid": None, "test": rows.test}
    files = {role: part_of(data, role, parts, n) for role, n in sizes.items()}
    named = {p.name.removesuffix(".jsonl.gz"): p for p in sorted(data.glob("*_*.jsonl.gz"))}
    labels = {name: labels_in(path) for name, path in named.items()}
    used = [name for name in named if labels[name] and name[:4] != "oos_"]
    suites = [f"{name}={part_of(data, name, parts, rows.suite)}" for name in used]
    init_workspace(workspace, problem="text_classification", files=files, suites=suites)
    params = yaml.safe_load((workspace / "params.yaml").read_text(encoding="utf-8"))
    for source in params["ingest"]["sources"]:
        role, _, name = source["role"].partition(":")
        if role == "suite" and not labels[name] <= known:
            source["role"] = f"out_of_scope:{name}"
    params["suites"]["noise"] = [
        {"name": kind, "kind": kind, "severity": SEVERITY} for kind in rows.noise
    ]
    (workspace / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    prepare_data(Workspace.open(workspace))
    return workspace


def part_of(data: Path, name: str, parts: Path, n: int | None) -> Path:
    """Return a file of a dataset, or of ``n`` of its rows at even distances where it has more."""
    path = data / f"{name}.jsonl.gz"
    lines = _lines(path)
    if n is None or len(lines) <= n:
        return path
    parts.mkdir(parents=True, exist_ok=True)
    kept = [lines[i * len(lines) // n] for i in range(n)]
    (parts / f"{name}.jsonl").write_text("".join(kept), encoding="utf-8")
    return parts / f"{name}.jsonl"


def labels_in(path: Path) -> set[str]:
    """Return the labels of a file; empty where it has rows without one."""
    found: list[Any] = [json.loads(line).get("label") for line in _lines(path)]
    return set() if None in found else set(found)


def _lines(path: Path) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return list(lines)
