"""Response selection by a cross-encoder: one score for a conversation with one candidate.

Nogueira & Cho (2019), "Passage re-ranking with BERT": a classifier of pairs, learnt pair by pair
with the logistic loss; the candidates of a row are ordered by their scores. Of a conversation that
is too long the end is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerBase

from pipeline_steps.inference.examples_file import ExampleRows
from pipeline_steps.inference.forward import logits_in_order
from pipeline_steps.inference.learners.body import build_with_head
from pipeline_steps.inference.learners.learner import ReadsRowsOnly
from pipeline_steps.inference.learners.losses import (
    Criterion,
    cross_entropy_sum,
    divergence_sum,
)
from pipeline_steps.inference.learners.windows import cut_texts
from pipeline_steps.inference.tokenization import Encoded
from pipeline_steps.inference.unmerged.storage import load_model
from pipeline_steps.predictions_file import StructuredTable
from pipeline_steps.problems.response_selection import candidates

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Pairs(Encoded):
    """Token ids of a conversation with each of its candidates, row after row."""

    sizes: list[int]  # candidates of each row

    def by_row(self, values: Array) -> list[Array]:
        """Return values of pairs, row by row."""
        return np.split(values, np.cumsum(self.sizes)[:-1]) if self.sizes else []

    def tokens_by_row(self) -> Array:
        """Return how many tokens were read for each row."""
        lengths = self.by_row(np.array(self.lengths, dtype=np.int32))
        return np.array([some.sum() for some in lengths], dtype=np.int32)


@dataclass(frozen=True)
class ResponseSelectionLearner(ReadsRowsOnly):
    """A sequence classifier of transformers with one output.

    Its loss is the logistic one: other criteria have no meaning for one output.
    """

    criterion: Criterion = cross_entropy_sum

    def labels_of(self, rows: ExampleRows) -> tuple[str, ...]:  # noqa: ARG002 - the protocol
        """Return none: a candidate is no label."""
        return ()

    def build(self, base: Path, labels: Sequence[str]) -> tuple[torch.nn.Module, tuple[str, ...]]:  # noqa: ARG002
        """Return the base with a head that scores."""
        return build_with_head(AutoModelForSequenceClassification, base, ("right",))

    def load(self, path: Path) -> torch.nn.Module:
        """Return the model in a checkpoint."""
        return load_model(path, AutoModelForSequenceClassification)

    def encode(
        self,
        tokenizer: PreTrainedTokenizerBase,
        rows: ExampleRows,
        max_length: int,
        stride: int,  # noqa: ARG002 - the end of a conversation is read
    ) -> Pairs:
        """Return each conversation with each of its candidates (cut at half the length)."""
        found = [candidates(target)[0] for target in rows.targets]
        sizes = [len(some) for some in found]
        texts = [text for text, size in zip(rows.texts, sizes, strict=True) for _ in range(size)]
        if not texts:
            return Pairs([], 0, [])
        replies = cut_texts(tokenizer, [c for some in found for c in some], max_length // 2)
        with cutting_the_beginning(tokenizer):
            ids = tokenizer(
                texts, replies, truncation="only_first", max_length=max_length, verbose=False
            )["input_ids"]
        lengths = tokenizer(texts, replies, verbose=False)["input_ids"]
        n_cut = sum(len(whole) > max_length for whole in lengths)
        return Pairs(ids, n_cut, sizes)

    def targets(
        self,
        encoded: Pairs,  # noqa: ARG002 - pairs stand row after row
        rows: ExampleRows,
        labels: Sequence[str],  # noqa: ARG002
    ) -> list[float]:
        """Return of each pair whether it is right."""
        found = [candidates(target) for target in rows.targets]
        return [float(place == right) for some, right in found for place in range(len(some))]

    def classes(self, targets: Sequence[float]) -> list[int]:  # noqa: ARG002 - the protocol
        """Return nothing: a pair is right or not."""
        return []

    def as_tensor(self, targets: Sequence[float]) -> torch.Tensor:
        """Return 1 for right pairs and 0 for others, (n,)."""
        return torch.tensor(targets, dtype=torch.float32)

    def n_items(self, labels: torch.Tensor) -> int:
        """Return the number of pairs."""
        return len(labels)

    def loss(self, outputs: Any, labels: torch.Tensor, n_items: int) -> torch.Tensor:
        """Return the logistic loss."""
        scores = outputs.logits[:, 0].float()
        total = torch.nn.functional.binary_cross_entropy_with_logits(
            scores, labels, reduction="sum"
        )
        return total / n_items

    def divergence(
        self,
        outputs: Any,
        target: Any,
        labels: torch.Tensor,  # noqa: ARG002 - every pair counts
        n_items: int,
    ) -> torch.Tensor:
        """Return KL(target || outputs) of right against not."""
        ours, theirs = (
            torch.nn.functional.pad(o.logits[:, :1].float(), (1, 0)) for o in (outputs, target)
        )
        return divergence_sum(ours, theirs) / n_items

    def run(
        self,
        model: torch.nn.Module,
        encoded: Pairs,
        pad_id: int,
        batch_tokens: int,
        n_labels: int,  # noqa: ARG002 - the protocol
    ) -> Array:
        """Return the score of each pair, (n,)."""
        if not len(encoded):
            return np.zeros(0, dtype=np.float32)
        return logits_in_order(model, encoded.token_ids, pad_id, batch_tokens)[:, 0]

    def validation_scores(
        self,
        outputs: Array,
        encoded: Pairs,
        targets: Sequence[float],
        rows: ExampleRows,
        labels: Sequence[str],  # noqa: ARG002
    ) -> dict[str, float]:
        """Return loss (nats a pair), recall at 1 and mean reciprocal rank."""
        losses = np.logaddexp(0.0, np.where(np.array(targets) > 0, -outputs, outputs))
        right = [candidates(target)[1] for target in rows.targets]
        return {"loss": float(losses.mean()), **ranks(encoded.by_row(outputs), right)}

    def table(
        self, outputs: Array, encoded: Pairs, rows: ExampleRows, labels: tuple[str, ...]
    ) -> StructuredTable:
        """Return right places, and places in the order of their scores, as JSON."""
        scores = encoded.by_row(outputs)
        right = [candidates(target)[1] for target in rows.targets]
        return StructuredTable(
            example_ids=np.array(rows.example_ids, dtype=object),
            truth=np.array([json.dumps(place) for place in right], dtype=object),
            predicted=np.array([json.dumps(_order(some)) for some in scores], dtype=object),
            score=np.array([_confidence(some) for some in scores], dtype=float),
            labels=labels,
            n_tokens=encoded.tokens_by_row(),
            columns=rows.columns(),
        )

    def answers(
        self,
        outputs: Array,
        encoded: Pairs,
        rows: ExampleRows,
        labels: tuple[str, ...],  # noqa: ARG002
    ) -> list[Mapping[str, Any]]:
        """Return the chosen reply, its place among the candidates and the confidence in it."""
        answers: list[Mapping[str, Any]] = []
        for target, scores in zip(rows.targets, encoded.by_row(outputs), strict=True):
            place = _order(scores)[0]
            reply = candidates(target)[0][place]
            answers.append({"reply": reply, "place": place, "score": _confidence(scores)})
        return answers


def ranks(scores: Sequence[Array], right: Sequence[int]) -> dict[str, float]:
    """Return recall at 1 and mean reciprocal rank of rows of scores and the right places."""
    pairs = zip(scores, right, strict=True)
    found = np.array([_order(some).index(place) for some, place in pairs])
    return {
        "recall_at_1": float((found == 0).mean()),
        "mrr": float((1.0 / (1.0 + found)).mean()),
    }


def _order(scores: Array) -> list[int]:
    """Return the places of candidates, the best first; of equals the first."""
    return [int(place) for place in np.argsort(-scores, kind="stable")]


def _confidence(scores: Array) -> float:
    """Return the share of the best candidate in the softmax over a row's candidates."""
    shifted = np.exp(scores.astype(np.float64) - scores.max())
    return float(1.0 / shifted.sum())


@contextmanager
def cutting_the_beginning(tokenizer: PreTrainedTokenizerBase) -> Iterator[None]:
    """Let a tokenizer cut what is too long at its beginning."""
    side = tokenizer.truncation_side
    tokenizer.truncation_side = "left"
    try:
        yield
    finally:
        tokenizer.truncation_side = side
