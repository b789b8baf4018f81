"""Training rows as attacks rewrote them, the mildest first: a curriculum over epochs."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_steps.errors import TrainingError
from pipeline_steps.inference.examples_file import ExampleRows
from pipeline_steps.objective_params import AttackedParams
from pipeline_steps.problems.problem import Problem

_READ = ("text", "text_pair", "target")
_COLUMNS = ("example_id", "label", *_READ, "original", "original_pair", "status", "n_changed",
            "n_words", "n_queries")  # fmt: skip


@dataclass(frozen=True)
class AttackedRow:
    """One rewritten row: which training row it was, and what the model is to read of it."""

    row: int
    content: Mapping[str, Any]


class AttackedRows:
    """Rewritten versions of training rows that an epoch may show in their place.

    Parameters
    ----------
    versions : sequence of AttackedRow
        The mildest first.
    params : AttackedParams
        How often one is shown, and how fast the stronger ones come.
    """

    def __init__(self, versions: Sequence[AttackedRow], params: AttackedParams) -> None:
        self.versions = versions
        self.params = params

    def in_epoch(self, epoch: int, seed: int) -> dict[int, Mapping[str, Any]]:
        """Return what is read instead of which rows, of what the curriculum has reached."""
        by_row: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
        for version in self.versions[: self._reached(epoch)]:
            by_row[version.row].append(version.content)
        shown = {}
        for row, several in by_row.items():
            generator = random.Random(f"{seed}:{epoch}:{row}:attacked")  # noqa: S311 - no secret
            if generator.random() < self.params.probability:
                shown[row] = generator.choice(several)
        return shown

    def _reached(self, epoch: int) -> int:
        """Return how many versions an epoch, counted from 0, may show."""
        return math.ceil(len(self.versions) * self.params.share_in(epoch))


def read_attacked(params: AttackedParams, rows: ExampleRows, problem: Problem) -> AttackedRows:
    """Return the versions in a file of ``holdfast attack --training-texts``.

    Mild is what did not break the model that was attacked; then the smaller share of changed words
    comes first, then the fewer queries. Versions of rows that are not among the training rows, or
    read otherwise there, are left out, so no other split leaks in.

    Raises
    ------
    TrainingError
        If the file is none of these, none of its rows is a training row, or one does not fit its
        answer.
    """
    table = _table(Path(params.texts))
    known = {example_id: row for row, example_id in enumerate(rows.example_ids)}
    found = []
    for content in sorted(table, key=_strength):
        row = known.get(content["example_id"])
        if row is None or not _is_of(content, rows, row):
            continue
        flaws = problem.find_flaws(content)
        if flaws:
            raise TrainingError(
                f"{params.texts}: row {content['example_id']} does not fit its answer "
                f"({', '.join(flaws)})",
                expected="rows as `holdfast attack --training-texts` writes them",
                fix="write the file again",
            )
        if any(content[name] != _own(rows, row)[name] for name in _READ):
            found.append(AttackedRow(row, {name: content[name] for name in _READ}))
    if not found:
        raise TrainingError(
            f"{params.texts}: none of its {len(table)} rows is a changed training row",
            expected="attacked rows of this training set",
            fix="holdfast attack --training-texts FILE in this workspace",
        )
    return AttackedRows(found, params)


def _table(path: Path) -> list[dict[str, Any]]:
    try:
        return list(pq.read_table(path).select(list(_COLUMNS)).to_pylist())
    except (OSError, KeyError, pa.ArrowInvalid) as error:
        raise TrainingError(
            f"finetune.augmentation.attacked.texts: {path} cannot be read: {error}",
            expected="a Parquet file as `holdfast attack --training-texts` writes it",
            fix="holdfast attack --training-texts FILE",
        ) from error


def _strength(content: Mapping[str, Any]) -> tuple[bool, float, int, str]:
    changed = content["n_changed"] / max(1, content["n_words"])
    return content["status"] == "broken", changed, content["n_queries"], content["example_id"]


def _is_of(content: Mapping[str, Any], rows: ExampleRows, row: int) -> bool:
    """Return whether a version was made of this row as it reads now."""
    made_of = (content["original"], content["original_pair"], content["label"])
    return made_of == (rows.texts[row], rows.pairs[row], rows.labels[row])


def _own(rows: ExampleRows, row: int) -> dict[str, Any]:
    return {"text": rows.texts[row], "text_pair": rows.pairs[row], "target": rows.targets[row]}
