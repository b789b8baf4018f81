"""Recorded answers of a version, kept beside its artifact: a later smoke test needs no data.

A rollback may be due when the rows that a version was tested on are long gone, or on another
machine. The digest of what is kept stands in a tag of the version and in the ledger.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pipeline_steps.digests import value_digest
from pipeline_steps.errors import RegistryError
from pipeline_steps.registry.smoke_test import SmokeRow
from pipeline_steps.registry.tracking import Tracker
from pipeline_steps.types import ModelVersion

ANSWERS_DIGEST = "holdfast.answers_digest"
_FILE = "recorded_answers.json"
_PLACE = "smoke"


def answers_digest(rows: Sequence[SmokeRow]) -> str:
    """Return the digest of recorded answers."""
    return value_digest([row.model_dump(mode="json") for row in rows])


def record_answers(tracker: Tracker, version: ModelVersion, rows: Sequence[SmokeRow]) -> None:
    """Keep what a version answered to some rows in its MLflow run; once is enough.

    The tag is written last: a version that has it has the file.
    """
    if ANSWERS_DIGEST in tracker.version_tags(version.name, version.version):
        return
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / _FILE
        path.write_text(json.dumps([row.model_dump(mode="json") for row in rows]), encoding="utf-8")
        tracker.log_files(version.mlflow_run_id, [path], under=_PLACE)
    tracker.tag_version(version, {ANSWERS_DIGEST: answers_digest(rows)})


def recorded_answers(
    tracker: Tracker, version: ModelVersion, digest: str | None = None
) -> list[SmokeRow]:
    """Return what :func:`record_answers` kept; nothing where nothing was kept.

    Parameters
    ----------
    tracker, version
        Where it was kept.
    digest : str, optional
        What the ledger says of it; by default the version's tag is asked.

    Raises
    ------
    RegistryError
        If it was altered since.
    """
    tag = tracker.version_tags(version.name, version.version).get(ANSWERS_DIGEST)
    if tag is None:
        return []
    with tempfile.TemporaryDirectory() as directory:
        tracker.download_files(version.mlflow_run_id, Path(directory), under=_PLACE)
        path = Path(directory) / _FILE
        rows = _parsed(path.read_text(encoding="utf-8")) if path.exists() else []
    if answers_digest(rows) != (digest or tag):
        raise RegistryError(
            f"the recorded answers of version {version.version} of {version.name} were altered",
            expected=f"answers with digest {digest or tag}",
            fix=f"restore {_PLACE}/{_FILE} of MLflow run {version.mlflow_run_id} from a copy",
        )
    return rows


def _parsed(text: str) -> list[SmokeRow]:
    """Return the rows of a file; none of one that is torn, whose digest is then another one."""
    try:
        return [SmokeRow.model_validate(row) for row in json.loads(text)]
    except ValueError:
        return []
