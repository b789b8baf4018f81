"""What the texts of the suites are like, row by row: columns that slices may be cut by.

Kept as evidence where ``evaluate.slice_columns`` names one of them, so that a verdict is recomputed
without the texts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from pipeline_steps.digests import value_digest
from pipeline_steps.evaluation.stress.text_slices import COLUMNS, TextProfile, text_columns
from pipeline_steps.files import write_text_atomically

Array = np.ndarray[Any, Any]
Marks = Mapping[str, Sequence[str]]
"""Row id -> what its text is like, in the order of the columns."""


@dataclass(frozen=True)
class TextMarks:
    """What the texts of each suite are like."""

    by_suite: Mapping[str, Marks]

    @classmethod
    def of_texts(cls, by_suite: Mapping[str, Mapping[str, str]], profile: TextProfile) -> Self:
        """Return the marks of texts, given as suite -> row id -> text."""
        return cls({suite: _marks(texts, profile) for suite, texts in by_suite.items()})

    @classmethod
    def read(cls, files: Mapping[str, Path]) -> Self:
        """Return what :meth:`write` has written, by suite."""
        return cls({s: json.loads(path.read_text(encoding="utf-8")) for s, path in files.items()})

    def write(self, directory: Path) -> dict[str, Path]:
        """Return one file a suite, named by its content."""
        found = {}
        for suite, marks in self.by_suite.items():
            found[suite] = directory / f"{value_digest(marks)[:16]}-{suite}.json"
            write_text_atomically(found[suite], json.dumps(marks, sort_keys=True))
        return found

    def columns(self, suite: str, example_ids: Sequence[str]) -> dict[str, Array]:
        """Return the columns of some rows of a suite, each (n,); none of a suite without texts."""
        marks = self.by_suite.get(suite)
        if not marks:
            return {}
        rows = [marks[example_id] for example_id in example_ids]
        return {
            name: np.array([row[place] for row in rows], dtype=object)
            for place, name in enumerate(COLUMNS)
        }


def asks_for_marks(slice_columns: Sequence[str]) -> bool:
    """Return whether a slice is to be cut by what the text is like."""
    return any(name in COLUMNS for name in slice_columns)


def _marks(texts: Mapping[str, str], profile: TextProfile) -> Marks:
    columns = text_columns([*texts.values()], profile)
    rows = zip(*(columns[name].tolist() for name in COLUMNS), strict=True)
    return {example_id: list(row) for example_id, row in zip(texts, rows, strict=True)}
