"""The nouns that travel between steps: small, frozen, JSON-serialisable, each with a digest.

Frames, tensors and weights never cross a step's boundary; references to them do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

EXAMPLE_COLUMNS = (
    "example_id",
    "text",
    "text_pair",
    "label",
    "target",
    "source",
    "domain",
    "timestamp",
    "group",
    "role",
)
"""Columns of every examples file (Parquet): strings, but ``timestamp`` (microseconds, UTC).

``role`` says where a row was declared to belong: ``auto`` (the split stage decides), ``train``,
``valid``, ``test``, ``suite:<name>``, or ``out_of_scope:<name>``: rows whose right answer is none
of the labels that can be learnt. ``target`` is what a problem wants to know beyond a label,
as JSON (``{"tokens": [...], "tags": [...]}`` for ner). All but ``example_id``, ``text`` and
``role`` may be null, ``label`` only where the problem has none.
"""

ReportKind = Literal[
    "clean", "noise", "adversarial", "shift", "calibration", "seeds", "out_of_scope", "behaviour",
    "certified", "embedding_ball", "rewritten", "average",
]  # fmt: skip
SISTERS: tuple[ReportKind, ...] = ("noise", "rewritten")
"""Kinds of suites whose rows are test rows under the same ids, changed within limits."""
UNCOMPARED: tuple[ReportKind, ...] = (
    *("calibration", "seeds", "out_of_scope", "behaviour", "certified", "embedding_ball"),
    "average",
)
"""Kinds of reports that the gate asks no comparison with the champion for: floors judge them."""
AVERAGED: tuple[ReportKind, ...] = (*SISTERS, "shift")
"""Kinds of suites whose scores an average is made of."""
RECORDED: tuple[ReportKind, ...] = ("behaviour", "certified", "embedding_ball")
"""Kinds of reports that need more than predictions, so that a verdict keeps them as they were."""


class Value(BaseModel):
    """A frozen value that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DatasetRef(Value):
    """A file of examples, named by its content."""

    name: str
    split: str
    path: Path
    digest: str
    n_examples: int
    kind: ReportKind = "clean"


class ExpectationFailure(Value):
    """One expectation that some rows, or the file, did not meet."""

    expectation: str
    column: str | None
    count: int
    examples: tuple[str, ...] = ()
    severity: Literal["critical", "warning"] = "critical"


class ValidationReport(Value):
    """What the expectation suite found in a dataset, and what was set aside.

    ``quarantined`` counts rows by their first reason; those that ingest could not read are among
    them, as they are among ``n_rows``.
    """

    dataset_digest: str
    success: bool
    n_rows: int
    n_kept: int
    failures: tuple[ExpectationFailure, ...] = ()
    quarantined: dict[str, int] = {}
    blocked_because: tuple[str, ...] = ()


class Provenance(Value):
    """Where and from what something was made."""

    created_at: str
    holdfast_version: str
    code_version: str
    git_commit: str | None
    git_dirty: bool | None
    lock_digest: str | None
    python: str
    platform: str
    libraries: dict[str, str] = {}


class Checkpoint(Value):
    """A directory of weights whose ``meta.json`` was written last.

    ``further_digests``: of teachers and earlier data that ``parameters`` name, by key.
    """

    path: Path
    digest: str
    problem: str
    labels: tuple[str, ...]
    base_model: str
    base_digest: str
    parameters: dict[str, Any]
    train_digest: str
    valid_digest: str
    further_digests: dict[str, str] = {}
    training: dict[str, Any]
    provenance: Provenance


class Predictions(Value):
    """One model's outputs on one dataset: a Parquet file in dataset order.

    Columns: ``example_id``, ``truth``, ``predicted``, ``logits`` (list of float32, one per label),
    ``n_tokens``, and the examples' ``source``, ``domain``, ``timestamp``, ``group``. The file's
    schema metadata ``labels`` (JSON) names the logits. Where an answer is more than one label,
    ``truth`` and ``predicted`` are JSON and ``score`` (the confidence) stands for ``logits``.
    ``code`` is the version of the code that predicted (empty: unknown).
    """

    path: Path
    digest: str
    checkpoint_digest: str
    dataset_digest: str
    suite: str
    kind: ReportKind
    n_examples: int
    problem: str = "text_classification"
    code: str = ""


class ModelVersion(Value):
    """A registered model version."""

    name: str
    version: int
    mlflow_run_id: str
    model_uri: str
    checkpoint_digest: str
    aliases: tuple[str, ...] = ()
