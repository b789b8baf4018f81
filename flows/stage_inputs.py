"""The stages of a workspace's ``dvc.yaml``, and what ``ingest`` reads as far as DVC knows."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from pipeline_steps.errors import ConfigurationError


def refuse_unconnected(root: Path, paths: Iterable[str]) -> None:
    """Refuse a workspace whose stages would not see that one of these files changed.

    Raises
    ------
    ConfigurationError
        If the stage ``ingest`` depends neither on a path nor on a directory that it is in.
    """
    known = _dependencies(root)
    unknown = [path for path in paths if known is not None and not _covered(path, known)]
    if unknown:
        lines = ", ".join(f"`- {path}`" for path in unknown)
        raise ConfigurationError(
            f"the stage ingest of {root / 'dvc.yaml'} does not depend on {', '.join(unknown)}",
            expected="every raw file among the stage's deps: a change of it would go unnoticed",
            fix=f"add to stages.ingest.deps: {lines}; then: holdfast prepare",
        )


def read_stages(root: Path) -> dict[str, Any] | None:
    """Return the stages by name; ``None`` for a file of which DVC says itself what is wrong."""
    try:
        content = yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))
        return dict(content["stages"])
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, ValueError):
        return None


def _dependencies(root: Path) -> list[str] | None:
    """Return the deps of the stage; ``None`` where DVC says itself what is wrong with the file."""
    stages = read_stages(root)
    if stages is None:
        return None
    try:
        return [os.path.normpath(name) for name in stages.get("ingest", {}).get("deps", [])]
    except (TypeError, AttributeError):
        return None


def _covered(path: str, known: list[str]) -> bool:
    place = Path(os.path.normpath(path))
    return any(place.is_relative_to(name) for name in known)
