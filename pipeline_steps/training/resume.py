"""Which trainer checkpoint an interrupted run goes on from: the last one that is whole."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from pipeline_steps.digests import directory_digest
from pipeline_steps.files import write_text_atomically

_MARKER = "complete.json"


def mark_complete(checkpoint: Path) -> None:
    """Write the digest of a trainer checkpoint beside its files, last."""
    digest = directory_digest(checkpoint, exclude=(_MARKER,))
    write_text_atomically(checkpoint / _MARKER, json.dumps({"digest": digest}))


def last_complete(work: Path) -> Path | None:
    """Return the newest trainer checkpoint that is whole; remove newer ones that are not."""
    for checkpoint in sorted(work.glob("checkpoint-*"), key=_step, reverse=True):
        if is_complete(checkpoint):
            return checkpoint
        shutil.rmtree(checkpoint)
    return None


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def is_complete(checkpoint: Path) -> bool:
    """Return whether a directory has its marker, and the content that the marker says."""
    marker = checkpoint / _MARKER
    if not marker.exists():
        return False
    recorded = json.loads(marker.read_text(encoding="utf-8"))["digest"]
    return bool(directory_digest(checkpoint, exclude=(_MARKER,)) == recorded)
