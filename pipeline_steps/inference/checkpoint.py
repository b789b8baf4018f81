"""Checkpoints: directories that any transformers program can load, whose ``meta.json`` is last."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline_steps.digests import directory_digest
from pipeline_steps.errors import CheckpointError
from pipeline_steps.files import atomic_directory
from pipeline_steps.types import Checkpoint

META = "meta.json"


def write_checkpoint(
    path: Path, save: Callable[[Path], None], describe: Callable[[str], dict[str, Any]]
) -> Checkpoint:
    """Return the checkpoint after writing it to ``path``, whole or not at all.

    Parameters
    ----------
    path : Path
        The directory to make; an existing one is replaced.
    save : callable
        Writes weights, configuration and tokenizer into the directory that it is given.
    describe : callable
        Returns the fields of :class:`Checkpoint` other than ``path``, from the content's digest.
    """
    with atomic_directory(path) as temporary:
        save(temporary)
        fields = describe(directory_digest(temporary))
        checkpoint = Checkpoint.model_validate({**fields, "path": path})
        text = checkpoint.model_dump_json(indent=2, exclude={"path"})
        (temporary / META).write_text(text, encoding="utf-8")
    return checkpoint


def load_checkpoint(path: Path, *, verify: bool = True) -> Checkpoint:
    """Return the checkpoint in a directory.

    Parameters
    ----------
    path : Path
        The directory.
    verify : bool
        Compare the content with the recorded digest.

    Raises
    ------
    CheckpointError
        If the marker is missing (the writer was killed), or the content is not what was written.
    """
    checkpoint = _read_meta(path)
    if verify and directory_digest(path, exclude=(META,)) != checkpoint.digest:
        raise CheckpointError(
            f"the checkpoint {path} is truncated or was altered",
            expected=f"content with digest {checkpoint.digest}",
            fix="remove the directory and run holdfast train again",
        )
    return checkpoint


def _read_meta(path: Path) -> Checkpoint:
    try:
        fields = json.loads((path / META).read_text(encoding="utf-8"))
        return Checkpoint.model_validate({**fields, "path": path})
    except (OSError, json.JSONDecodeError, ValidationError) as error:
        raise CheckpointError(
            f"{path} is no finished checkpoint: {error}",
            expected=f"a directory with a {META}, which is written last",
            fix="remove the directory and run holdfast train again",
        ) from error
