"""What a reader yields: a row with its fields by name, or a row that could not be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

EXCERPT_CHARACTERS = 200


@dataclass(frozen=True)
class RawRow:
    """One row of a raw file: where it stood, and its fields by name."""

    line: int
    fields: dict[str, Any]


@dataclass(frozen=True)
class RejectedRow:
    """One row that could not be read, and why; ``label`` where that much could be told."""

    line: int
    reason: str
    detail: str
    excerpt: str
    label: str | None = None
