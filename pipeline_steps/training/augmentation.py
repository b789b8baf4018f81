"""Rows that read otherwise in each epoch: a function of seed, epoch and row alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipeline_steps.inference.examples_file import ExampleRows
from pipeline_steps.noise.catalog import perturb_within
from pipeline_steps.objective_params import AugmentationParams
from pipeline_steps.problems.problem import AttackableProblem, Problem
from pipeline_steps.training.attacked_rows import AttackedRows
from pipeline_steps.training.rewording import Rewording

Window = tuple[list[int], Any]
"""Token ids of a window, and what it is to be answered with."""
Read = Callable[[ExampleRows], list[list[Window]]]
"""Reads rows as the windows of each."""
_NAMES_STAY = ("ner", "relation_extraction")


class Augmentation:
    """The windows of the rows that an epoch changes.

    They are made when the epoch begins, in one call of the tokenizer. The problem puts the changes
    into a row, so that tags and spans follow their words, and targets are made anew. Batches are
    planned by the lengths of the rows as they are: a changed row may be a little longer, a batch
    with it too. A row that would be read in more or fewer windows than planned stays as it is.

    Parameters
    ----------
    params : AugmentationParams
        How many rows, and which noise.
    rows : ExampleRows
        As they were written.
    problem : Problem
        Knows where a row may be changed.
    read : callable
        Makes windows of rows.
    seed : int
        Same seed, same noise.
    rewordings : sequence of Rewording
        Words in the place of others; in ner and relations not of what is named.
    attacked : AttackedRows, optional
        Rows as attacks rewrote them; such a row gets no noise.

    Attributes
    ----------
    changed : dict
        Window -> what is read in its place in this epoch.
    """

    def __init__(
        self,
        params: AugmentationParams,
        rows: ExampleRows,
        problem: Problem,
        read: Read,
        seed: int,
        *,
        rewordings: Sequence[Rewording] = (),
        attacked: AttackedRows | None = None,
    ) -> None:
        self.params = params
        self.rows, self.problem = rows, problem
        self.read = read
        self.seed = seed
        self.rewordings = rewordings
        self.attacked = attacked
        self.places = _numbered(read(rows))
        self.changed: dict[int, Window] = {}

    def set_epoch(self, epoch: int) -> None:
        """Change the rows of an epoch, counted from 0."""
        shown = {} if self.attacked is None else self.attacked.in_epoch(epoch, self.seed)
        noisy = [r for r in range(len(self.rows)) if r not in shown and self._is_hit(r, epoch)]
        contents = {**shown, **{row: self._noisy(row, epoch) for row in noisy}}
        self.changed = {}
        if not contents:
            return
        read = self.read(_with(self.rows, contents))
        for row, windows in zip(contents, read, strict=True):
            if len(windows) == len(self.places[row]):
                self.changed.update(zip(self.places[row], windows, strict=True))

    def _is_hit(self, row: int, epoch: int) -> bool:
        generator = random.Random(f"{self.seed}:{epoch}:{row}")  # noqa: S311 - no secret
        return generator.random() < self.params.share_in(epoch)

    def _noisy(self, row: int, epoch: int) -> Mapping[str, Any]:
        content = _content(self.rows, row)
        named: frozenset[str] = frozenset()
        if self.problem.name in _NAMES_STAY and isinstance(self.problem, AttackableProblem):
            named = self.problem.named_places(content)

        def noise(text: str, place: str) -> str:
            key = f"{epoch}:{row}:{place}"
            for reword in () if place in named else self.rewordings:
                text = reword(text, seed=self.seed, example_id=key)
            for kind, rate in self.params.rates().items():
                text = perturb_within(text, kind, rate, seed=self.seed, example_id=key)
            return text

        changed = self.problem.noisy(content, noise)
        return content if self.problem.find_flaws(changed) else changed


def _content(rows: ExampleRows, row: int) -> dict[str, Any]:
    return {"text": rows.texts[row], "text_pair": rows.pairs[row], "target": rows.targets[row]}


def _with(rows: ExampleRows, contents: Mapping[int, Mapping[str, Any]]) -> ExampleRows:
    """Return the rows of some contents, with the labels of those they stand for."""
    return ExampleRows(
        example_ids=[rows.example_ids[row] for row in contents],
        texts=[content["text"] for content in contents.values()],
        pairs=[content["text_pair"] for content in contents.values()],
        labels=[rows.labels[row] for row in contents],
        targets=[content["target"] for content in contents.values()],
        metadata={},
    )


def _numbered(windows: Sequence[Sequence[Window]]) -> list[list[int]]:
    """Return for each row the numbers of its windows among all."""
    found, first = [], 0
    for of_row in windows:
        found.append(list(range(first, first + len(of_row))))
        first += len(of_row)
    return found
