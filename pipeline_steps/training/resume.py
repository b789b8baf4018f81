"""Which trainer checkpoint an interrupted run goes on from: the last one that is whole."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from pipeline_steps.digests import directory_digest
from pipeline_steps.files import write_text_atomically

_MARKER = "complete.json"
_STATE = "trainer_state.json"  # the Trainer's own


def mark_complete(checkpoint: Path) -> None:
    """Write the digest of a trainer checkpoint beside its files, last."""
    digest = directory_digest(checkpoint, exclude=(_MARKER,))
    write_text_atomically(checkpoint / _MARKER, json.dumps({"digest": digest}))


def last_complete(work: Path) -> Path | None:
    """Return the newest trainer checkpoint that is whole; remove newer ones that are not."""
    for checkpoint in _newest_first(work):
        if is_complete(checkpoint):
            return checkpoint
        shutil.rmtree(checkpoint)
    return None


def return_to(work: Path, step: int) -> Path | None:
    """Return the newest whole trainer checkpoint up to ``step``; remove all newer ones.

    One whose best checkpoint is gone is passed over too: the end of its run would not find it.
    """
    for checkpoint in _newest_first(work):
        if step_of(checkpoint) <= step and is_complete(checkpoint) and _knows_its_best(checkpoint):
            return checkpoint
        shutil.rmtree(checkpoint)
    return None


def step_of(checkpoint: Path) -> int:
    """Return the optimizer steps that were made before a trainer checkpoint."""
    return int(checkpoint.name.rpartition("-")[2])


def _newest_first(work: Path) -> list[Path]:
    return sorted(work.glob("checkpoint-*"), key=step_of, reverse=True)


def _knows_its_best(checkpoint: Path) -> bool:
    state = json.loads((checkpoint / _STATE).read_text(encoding="utf-8"))
    best = state["best_model_checkpoint"]
    return best is None or Path(best).is_dir()


def is_complete(checkpoint: Path) -> bool:
    """Return whether a directory has its marker, and the content that the marker says."""
    marker = checkpoint / _MARKER
    if not marker.exists():
        return False
    recorded = json.loads(marker.read_text(encoding="utf-8"))["digest"]
    return bool(directory_digest(checkpoint, exclude=(_MARKER,)) == recorded)
