"""Named entities: a tag for each word, read off the word's first token.

A decoder alone has not read the rest of the word there, so it is asked at the last one. A sentence
longer than ``max_length`` is read in windows; each word is answered for (and learnt from) in the
one window where it stands farthest from an edge; where only what stands before is seen, farthest
from the beginning.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForTokenClassification, PreTrainedTokenizerBase

from pipeline_steps.errors import TrainingError
from pipeline_steps.inference.examples_file import ExampleRows
from pipeline_steps.inference.learners.body import build_with_head
from pipeline_steps.inference.learners.learner import ReadsRowsOnly
from pipeline_steps.inference.learners.losses import (
    IGNORED,
    Criterion,
    cross_entropy_sum,
    divergence_sum,
)
from pipeline_steps.inference.learners.scores import log_softmax
from pipeline_steps.inference.learners.windows import (
    Array,
    Windows,
    encode_windows,
    token_outputs,
)
from pipeline_steps.inference.unmerged.storage import load_model
from pipeline_steps.predictions_file import StructuredTable
from pipeline_steps.problems.entities import OUTSIDE, as_bio2, entities
from pipeline_steps.problems.ner import entity_f1, tokens_and_tags

Place = tuple[int, int]
"""A window and a position in it."""


@dataclass(frozen=True)
class WordWindows(Windows):
    """Windows, and for each row where each word is answered for; ``None``: it has no token."""

    places: list[list[Place | None]]


@dataclass(frozen=True)
class NerLearner(ReadsRowsOnly):
    """A token classifier of transformers.

    Parameters
    ----------
    criterion : callable
        What it learns by.
    outside : int
        The place of O among the labels.
    looks_back : bool
        Whether a token sees only those before it.
    """

    criterion: Criterion = cross_entropy_sum
    outside: int = 0
    looks_back: bool = False

    def labels_of(self, rows: ExampleRows) -> tuple[str, ...]:
        """Return the tags of the training rows: O, then B and I of each type."""
        found = {tag for target in rows.targets for tag in tokens_and_tags(target)[1]}
        kinds = sorted({tag[2:] for tag in found - {OUTSIDE}})
        if not kinds:
            raise TrainingError(
                "no training row has an entity",
                expected="tags such as B-person among the training rows",
                fix="look at ingest.columns.tags in params.yaml and at the raw file",
            )
        return (OUTSIDE, *(f"{prefix}-{kind}" for kind in kinds for prefix in "BI"))

    def build(self, base: Path, labels: Sequence[str]) -> tuple[torch.nn.Module, tuple[str, ...]]:
        """Return the base with a head over tokens."""
        return build_with_head(AutoModelForTokenClassification, base, labels)

    def load(self, path: Path) -> torch.nn.Module:
        """Return the tagger in a checkpoint."""
        return load_model(path, AutoModelForTokenClassification)

    def encode(
        self,
        tokenizer: PreTrainedTokenizerBase,
        rows: ExampleRows,
        max_length: int,
        stride: int,
    ) -> WordWindows:
        """Return the windows of the sentences, and where each word is answered for."""
        windows = encode_windows(tokenizer, rows.texts, max_length, stride)
        words = [tokens_and_tags(target)[0] for target in rows.targets]
        return WordWindows(
            windows.token_ids,
            windows.n_truncated,
            windows.rows,
            windows.offsets,
            places=_places(windows, words, looks_back=self.looks_back),
        )

    def targets(
        self, encoded: WordWindows, rows: ExampleRows, labels: Sequence[str]
    ) -> list[list[int]]:
        """Return the tag of each token that a word is answered for at, elsewhere ``IGNORED``.

        A tag that no training row has (a new type in the validation rows) is ignored, too.
        """
        index = {label: position for position, label in enumerate(labels)}
        found = [[IGNORED] * length for length in encoded.lengths]
        for places, target in zip(encoded.places, rows.targets, strict=True):
            for place, tag in zip(places, tokens_and_tags(target)[1], strict=True):
                if place is not None:
                    found[place[0]][place[1]] = index.get(tag, IGNORED)
        return found

    def classes(self, targets: Sequence[list[int]]) -> list[int]:
        """Return the tag of each word."""
        return [tag for row in targets for tag in row if tag != IGNORED]

    def as_tensor(self, targets: Sequence[list[int]]) -> torch.Tensor:
        """Return tag indices (n, longest), padded with ``IGNORED``."""
        longest = max(map(len, targets))
        return torch.tensor([row + [IGNORED] * (longest - len(row)) for row in targets])

    def n_items(self, labels: torch.Tensor) -> int:
        """Return the number of words."""
        return int((labels != IGNORED).sum())

    def loss(self, outputs: Any, labels: torch.Tensor, n_items: int) -> torch.Tensor:
        """Return the loss, a sum over words."""
        flat = outputs.logits.flatten(0, 1)
        # Without a word in the batch the sum is 0, and so is its part of the step.
        return self.criterion(flat, labels.flatten()) / max(n_items, 1)

    def divergence(
        self, outputs: Any, target: Any, labels: torch.Tensor, n_items: int
    ) -> torch.Tensor:
        """Return KL(target || outputs) over words."""
        words = labels != IGNORED
        return divergence_sum(outputs.logits[words], target.logits[words]) / max(n_items, 1)

    def run(
        self,
        model: torch.nn.Module,
        encoded: WordWindows,
        pad_id: int,
        batch_tokens: int,
        n_labels: int,
    ) -> list[Array]:
        """Return for each row the log-probabilities (n_words, n_labels) of its words' tags."""
        found = token_outputs(model, encoded, pad_id, batch_tokens)
        sure_of_none = np.where(
            np.arange(n_labels) == self.outside, 0.0, -np.inf
        )  # a word without a token
        return [
            np.array(
                [
                    sure_of_none if place is None else log_softmax(found[place[0]][place[1]])
                    for place in places
                ]
            ).reshape(len(places), n_labels)
            for places in encoded.places
        ]

    def validation_scores(
        self,
        outputs: list[Array],
        encoded: WordWindows,  # noqa: ARG002 - the protocol
        targets: Sequence[Any],  # noqa: ARG002
        rows: ExampleRows,
        labels: Sequence[str],
    ) -> dict[str, float]:
        """Return loss (nats a word), micro and macro F1 over entities."""
        truth = [tokens_and_tags(target)[1] for target in rows.targets]
        predicted = [_tags(values, labels) for values in outputs]
        index = {label: position for position, label in enumerate(labels)}
        losses = [
            -values[word, index[tag]]
            for values, tags in zip(outputs, truth, strict=True)
            for word, tag in enumerate(tags)
            if tag in index and np.isfinite(values[word, index[tag]])
        ]
        return {
            "loss": float(np.mean(losses)),
            **entity_f1(list(zip(truth, predicted, strict=True))),
        }

    def table(
        self,
        outputs: list[Array],
        encoded: WordWindows,
        rows: ExampleRows,
        labels: tuple[str, ...],
    ) -> StructuredTable:
        """Return true and predicted tags as JSON lists."""
        return StructuredTable(
            example_ids=np.array(rows.example_ids, dtype=object),
            truth=_as_json(tokens_and_tags(target)[1] for target in rows.targets),
            predicted=_as_json(_tags(values, labels) for values in outputs),
            score=np.array([_confidence(values) for values in outputs]),
            labels=labels,
            n_tokens=encoded.tokens_by_row(len(rows)),
            columns=rows.columns(),
        )

    def answers(
        self,
        outputs: list[Array],
        encoded: WordWindows,  # noqa: ARG002 - the protocol
        rows: ExampleRows,
        labels: tuple[str, ...],
    ) -> list[Mapping[str, Any]]:
        """Return words, tags and entities with the confidence in the whole, for each row."""
        found: list[Mapping[str, Any]] = []
        for values, target in zip(outputs, rows.targets, strict=True):
            words, tags = tokens_and_tags(target)[0], _tags(values, labels)
            spans = [
                {"type": kind, "text": " ".join(words[start:end]), "start": start, "end": end}
                for kind, start, end in entities(tags)
            ]
            found.append(
                {
                    "tokens": words,
                    "tags": tags,
                    "entities": json.dumps(spans, ensure_ascii=False),
                    "score": _confidence(values),
                }
            )
        return found


def _places(
    windows: Windows, words: Sequence[Sequence[str]], *, looks_back: bool
) -> list[list[Place | None]]:
    """Return where each word of each row is answered for.

    That is the token in which the word begins (or ends, for a model that looks back); where several
    windows hold it, the one in which it stands farthest from an edge (from the beginning).
    """
    best: list[list[Any]] = [[None] * len(of_row) for of_row in words]
    starts = [_starts(of_row) for of_row in words]
    for window, (row, offsets) in enumerate(zip(windows.rows, windows.offsets, strict=True)):
        for position, (begin, end) in enumerate(offsets.tolist()):
            if end <= begin:
                continue
            # Some tokenizers count the blank before a word to its token: the last letter decides.
            word = int(np.searchsorted(starts[row], end - 1, side="right")) - 1
            depth = min(position, len(offsets) - 1 - position)
            first = (max(begin, starts[row][word]), -depth)
            rank = (-end, -position) if looks_back else first
            if best[row][word] is None or rank < best[row][word][0]:
                best[row][word] = (rank, (window, position))
    return [[None if found is None else found[1] for found in of_row] for of_row in best]


def _starts(words: Sequence[str]) -> Array:
    """Return where each word begins in the text that joins them with blanks."""
    return np.cumsum([0, *(len(word) + 1 for word in words)])[:-1]


def _tags(values: Array, labels: Sequence[str]) -> list[str]:
    """Return the likeliest tag of each word, made well-formed."""
    return as_bio2([labels[int(best)] for best in values.argmax(axis=1)]) if len(values) else []


def _confidence(values: Array) -> float:
    """Return the probability that every tag of a sentence is right, were they independent."""
    return float(np.exp(values.max(axis=1).sum())) if len(values) else 1.0


def _as_json(content: Any) -> Array:
    return np.array([json.dumps(item, ensure_ascii=False) for item in content], dtype=object)
