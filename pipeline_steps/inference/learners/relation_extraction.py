"""Relations: marks around head and tail, a label read off the states of their opening marks.

This is "entity markers - entity start" of Baldini Soares et al. (2019), "Matching the blanks". The
marks are plain text that every tokenizer knows, as in Zhou and Chen (2022), "An improved baseline
for sentence-level relation extraction", so no embedding has to be learnt from nothing.

A decoder alone has not read an entity where its opening mark stands, nor the tail where the head's
does: it classifies the marked text by its last token, which has seen both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedTokenizerBase,
)

from pipeline_steps.inference.examples_file import ExampleRows
from pipeline_steps.inference.learners.body import build_with_head
from pipeline_steps.inference.learners.language_model import config_of, is_decoder_alone
from pipeline_steps.inference.learners.losses import (
    Criterion,
    cross_entropy_sum,
    divergence_sum,
)
from pipeline_steps.inference.learners.one_label import AnswersOneLabel, label_indices
from pipeline_steps.inference.learners.scores import classification_scores, label_counts
from pipeline_steps.inference.learners.texts import Array
from pipeline_steps.inference.learners.windows import token_outputs
from pipeline_steps.inference.tokenization import Encoded
from pipeline_steps.inference.unmerged.storage import load_model
from pipeline_steps.problems.directed_relations import relation_f1
from pipeline_steps.problems.relation_extraction import Span, spans

HEAD_MARK, TAIL_MARK = "@", "#"


@dataclass(frozen=True)
class MarkedTexts(Encoded):
    """Token ids of marked texts, and where the opening marks of head and tail stand in each."""

    marks: list[tuple[int, int]]


@dataclass(frozen=True)
class RelationLearner(AnswersOneLabel):
    """A linear layer over the states of two tokens, or over the last one's in a decoder.

    The layer over both states side by side is kept as one over single tokens with twice as many
    outputs, whose halves are added: the same function, and a token classifier that any
    transformers program can load.
    """

    criterion: Criterion = cross_entropy_sum

    def build(self, base: Path, labels: Sequence[str]) -> tuple[torch.nn.Module, tuple[str, ...]]:
        """Return the base with a head over tokens; of a decoder over the text."""
        if is_decoder_alone(config_of(base)):
            return build_with_head(AutoModelForSequenceClassification, base, labels)
        outputs = [f"{label} ({part})" for part in ("head", "tail") for label in labels]
        return build_with_head(AutoModelForTokenClassification, base, outputs)

    def load(self, path: Path) -> torch.nn.Module:
        """Return the model in a checkpoint, as it was trained."""
        trained = " ".join(config_of(path).architectures or ())
        of_texts = trained.endswith("ForSequenceClassification")
        kind = AutoModelForSequenceClassification if of_texts else AutoModelForTokenClassification
        return load_model(path, kind)

    def encode(
        self,
        tokenizer: PreTrainedTokenizerBase,
        rows: ExampleRows,
        max_length: int,
        stride: int,  # noqa: ARG002 - what stands far from both marks is cut
    ) -> MarkedTexts:
        """Return the marked texts; of one that is too long, the tokens nearest to its marks."""
        if not len(rows):
            return MarkedTexts([], 0, [])
        marked = [
            marked_text(text, *spans(t)) for text, t in zip(rows.texts, rows.targets, strict=True)
        ]
        found = tokenizer(
            [text for text, _, _ in marked],
            truncation=False,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
            verbose=False,
        )
        token_ids, marks, n_cut = [], [], 0
        for row, (_, *places) in enumerate(marked):
            special = np.array(found["special_tokens_mask"][row], dtype=bool)
            begins = np.array(found["offset_mapping"][row])
            at = [_token_at(begins, special, place) for place in places]
            kept = _nearest(len(special), special, at, max_length)
            n_cut += len(kept) < len(special)
            token_ids.append(np.array(found["input_ids"][row])[kept].tolist())
            marks.append((int(np.searchsorted(kept, at[0])), int(np.searchsorted(kept, at[1]))))
        return MarkedTexts(token_ids, n_cut, marks)

    def targets(
        self, encoded: MarkedTexts, rows: ExampleRows, labels: Sequence[str]
    ) -> list[tuple[int, int, int]]:
        """Return label, head mark and tail mark of each row."""
        indices = label_indices(rows.labels, labels)
        return [(label, *marks) for label, marks in zip(indices, encoded.marks, strict=True)]

    def classes(self, targets: Sequence[tuple[int, int, int]]) -> list[int]:
        """Return the label of each row."""
        return [label for label, *_ in targets]

    def as_tensor(self, targets: Sequence[tuple[int, int, int]]) -> torch.Tensor:
        """Return labels and marks (n, 3)."""
        return torch.tensor(targets)

    def n_items(self, labels: torch.Tensor) -> int:
        """Return the number of rows."""
        return len(labels)

    def loss(self, outputs: Any, labels: torch.Tensor, n_items: int) -> torch.Tensor:
        """Return the loss, a sum over rows."""
        logits = _at_marks(outputs.logits, labels)
        return self.criterion(logits, labels[:, 0]) / n_items

    def divergence(
        self, outputs: Any, target: Any, labels: torch.Tensor, n_items: int
    ) -> torch.Tensor:
        """Return KL(target || outputs)."""
        ours, theirs = _at_marks(outputs.logits, labels), _at_marks(target.logits, labels)
        return divergence_sum(ours, theirs) / n_items

    def run(
        self,
        model: torch.nn.Module,
        encoded: MarkedTexts,
        pad_id: int,
        batch_tokens: int,
        n_labels: int,
    ) -> Array:
        """Return logits (n, n_labels)."""

        def pick(row: int, values: Array) -> Array:
            if values.ndim == 1:  # of the whole text
                return values
            head, tail = encoded.marks[row]
            return np.asarray(values[head, :n_labels] + values[tail, n_labels:])

        found = token_outputs(model, encoded, pad_id, batch_tokens, pick)
        return np.array(found, dtype=np.float32).reshape(len(found), n_labels)

    def validation_scores(
        self,
        outputs: Array,
        encoded: MarkedTexts,  # noqa: ARG002 - the protocol
        targets: Sequence[tuple[int, int, int]],
        rows: ExampleRows,  # noqa: ARG002
        labels: Sequence[str],
    ) -> dict[str, float]:
        """Return loss, accuracy, macro-F1 and the score of SemEval-2010 Task 8."""
        truth = np.array([label for label, *_ in targets])
        counts = label_counts(truth, outputs.argmax(axis=1), len(labels))
        return {
            **classification_scores(outputs, truth),
            "relation_f1": float(relation_f1(labels, *counts)),
        }


def marked_text(text: str, head: Span, tail: Span) -> tuple[str, int, int]:
    """Return the text with marks around both spans, and where the opening marks stand.

    Examples
    --------
    >>> marked_text("fire causes smoke", (0, 4), (12, 17))
    ('@ fire @ causes # smoke #', 0, 16)
    """
    # Of marks at one place: what ends there comes first; a longer span opens before a shorter.
    events = sorted(
        event
        for (start, end), mark in ((head, HEAD_MARK), (tail, TAIL_MARK))
        for event in ((start, 1, -end, mark), (end, 0, -start, mark))
    )
    parts, opened, position, done = [], {}, 0, 0
    for place, opens, _, mark in events:
        between = text[done:place]
        inserted = f"{mark} " if opens else f" {mark}"
        parts += [between, inserted]
        position += len(between)
        if opens:
            opened[mark] = position
        position, done = position + len(inserted), place
    return "".join([*parts, text[done:]]), opened[HEAD_MARK], opened[TAIL_MARK]


def _token_at(offsets: Array, special: Array, place: int) -> int:
    """Return the token that holds a character; some count the blank before it to the token."""
    holds = (offsets[:, 0] <= place) & (offsets[:, 1] > place) & ~special
    return int(np.flatnonzero(holds)[0])


def _nearest(length: int, special: Array, marks: Sequence[int], max_length: int) -> Array:
    """Return the tokens to keep, in order: special ones, and those nearest to a mark."""
    positions = np.arange(length)
    if length <= max_length:
        return positions
    distance = np.abs(positions[:, None] - np.array(marks)).min(axis=1)
    order = np.lexsort((distance, ~special))
    return np.sort(order[:max_length])


def _at_marks(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return logits (n, n_labels) from those of tokens (n, length, 2 n_labels), or of texts."""
    if logits.ndim == 2:  # noqa: PLR2004 - a row of labels for each text
        return logits
    rows, n_labels = torch.arange(len(labels), device=logits.device), logits.shape[-1] // 2
    return logits[rows, labels[:, 1], :n_labels] + logits[rows, labels[:, 2], n_labels:]
