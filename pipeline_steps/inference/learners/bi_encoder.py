"""Response selection by a bi-encoder: conversation and reply become vectors, their cosine scores.

Learnt with in-batch negatives (Henderson et al. 2017, "Efficient natural language response
suggestion for Smart Reply", section 4): of all candidates of all rows of a batch, those that came
with the conversation among them, the right one shall stand nearest to it. A vector is the mean of
the last states, as sentence encoders are trained; the cosine is multiplied by 20 before the softmax
(Reimers & Gurevych's sentence-transformers). Of a conversation that is too long the end is read.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from transformers import AutoModel, PreTrainedTokenizerBase
from transformers.modeling_outputs import SequenceClassifierOutput

from pipeline_steps.errors import TrainingError
from pipeline_steps.inference.anatomy import stacks
from pipeline_steps.inference.examples_file import ExampleRows
from pipeline_steps.inference.forward import logits_in_order
from pipeline_steps.inference.learners.body import build_body
from pipeline_steps.inference.learners.losses import IGNORED, divergence_sum
from pipeline_steps.inference.learners.response_selection import (
    Array,
    ResponseSelectionLearner,
    cutting_the_beginning,
    ranks,
)
from pipeline_steps.inference.tokenization import Encoded
from pipeline_steps.inference.unmerged.mean_pooling import sentence_vectors
from pipeline_steps.inference.unmerged.storage import load_model
from pipeline_steps.problems.response_selection import candidates

SCALE = 20.0


@dataclass(frozen=True)
class Conversations(Encoded):
    """Token ids of conversations, and of the candidates of each."""

    replies: list[list[list[int]]]

    @property
    def lengths(self) -> list[int]:
        """Tokens of each row: of the conversation and of all its candidates."""
        both = zip(self.token_ids, self.replies, strict=True)
        return [len(ids) + sum(map(len, some)) for ids, some in both]

    @property
    def ids_read(self) -> Sequence[Sequence[int]]:
        """All ids that a model meets in training."""
        return [*self.token_ids, *itertools.chain.from_iterable(self.replies)]

    def by_row(self, values: Array) -> list[Array]:
        """Return values of candidates, row by row."""
        ends = np.cumsum([len(some) for some in self.replies])[:-1]
        return np.split(values, ends) if self.replies else []

    def tokens_by_row(self) -> Array:
        """Return how many tokens were read for each row."""
        return np.array(self.lengths, dtype=np.int32)


class _Scoring:
    """Makes a body answer with unit vectors or, asked with replies, with their scaled cosines."""

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        reply_ids: torch.Tensor | None = None,
        reply_mask: torch.Tensor | None = None,
        **others: Any,
    ) -> SequenceClassifierOutput:
        """Return vectors (n, width), or scores (n, n * n_candidates) of all replies."""
        vectors = self._vectors(input_ids, attention_mask, **others)
        if reply_ids is None or reply_mask is None:
            return SequenceClassifierOutput(logits=vectors)
        replies = self._vectors(reply_ids.flatten(0, 1), reply_mask.flatten(0, 1))
        return SequenceClassifierOutput(logits=SCALE * vectors @ replies.T)

    def _vectors(self, ids: torch.Tensor, mask: torch.Tensor, **others: Any) -> torch.Tensor:
        states = super().forward(input_ids=ids, attention_mask=mask, **others)  # type: ignore[misc]
        pooled = sentence_vectors(states.last_hidden_state.float(), mask)
        return torch.nn.functional.normalize(pooled, dim=-1)


@dataclass(frozen=True)
class BiEncoderLearner(ResponseSelectionLearner):
    """A body of transformers without a head, run on conversations and on replies apart."""

    compares_rows: ClassVar[bool] = True

    def build(self, base: Path, labels: Sequence[str]) -> tuple[torch.nn.Module, tuple[str, ...]]:  # noqa: ARG002
        """Return the base as it is: nothing is new."""
        return _scoring(build_body(base)), ()

    def load(self, path: Path) -> torch.nn.Module:
        """Return the model in a checkpoint."""
        return _scoring(load_model(path, AutoModel))

    def encode(  # type: ignore[override]
        self,
        tokenizer: PreTrainedTokenizerBase,
        rows: ExampleRows,
        max_length: int,
        stride: int,  # noqa: ARG002 - the end of a conversation is read
    ) -> Conversations:
        """Return conversations, of which the beginning is cut, and candidates, cut at the end."""
        found = [candidates(target)[0] for target in rows.targets]
        if not found:
            return Conversations([], 0, [])
        with cutting_the_beginning(tokenizer):
            ids = _ids(tokenizer, rows.texts, max_length)
        replies = iter(_ids(tokenizer, list(itertools.chain.from_iterable(found)), max_length))
        n_cut = sum(len(whole) > max_length for whole in _ids(tokenizer, rows.texts, None))
        return Conversations(ids, n_cut, [[next(replies) for _ in some] for some in found])

    def targets(  # type: ignore[override]
        self,
        encoded: Conversations,
        rows: ExampleRows,
        labels: Sequence[str],  # noqa: ARG002
    ) -> list[list[list[int]]]:
        """Return of each row the token ids of its candidates, those of the right one first."""
        right = [candidates(target)[1] for target in rows.targets]
        return [
            [some[place], *some[:place], *some[place + 1 :]]
            for some, place in zip(encoded.replies, right, strict=True)
        ]

    def as_tensor(self, targets: Sequence[Any]) -> torch.Tensor:
        """Return the ids (n, most candidates, longest), -100 where there is none."""
        most = max(len(some) for some in targets)
        longest = max(len(ids) for some in targets for ids in some)
        filled = torch.full((len(targets), most, longest), IGNORED)
        for row, some in enumerate(targets):
            for place, ids in enumerate(some):
                filled[row, place, : len(ids)] = torch.tensor(ids)
        return filled

    def more_inputs(self, labels: torch.Tensor, pad_id: int) -> dict[str, torch.Tensor]:
        """Return the replies to read; one that is not there is a single padding token."""
        mask = labels != IGNORED
        ids = labels.masked_fill(~mask, pad_id)
        mask[..., 0] = True
        return {"reply_ids": ids, "reply_mask": mask.long()}

    def loss(self, outputs: Any, labels: torch.Tensor, n_items: int) -> torch.Tensor:
        """Return the cross-entropy of the right reply among all replies of the batch.

        A reply of another row that reads like the right one is no wrong answer: it is left out.
        """
        n, most = labels.shape[:2]
        replies = labels.flatten(0, 1)
        right = torch.arange(n, device=labels.device) * most
        same = (replies[None] == labels[:, :1]).all(dim=-1)
        same[torch.arange(n), right] = False
        scores = outputs.logits.float().masked_fill(same | _absent(labels), -torch.inf)
        return torch.nn.functional.cross_entropy(scores, right, reduction="sum") / n_items

    def divergence(
        self, outputs: Any, target: Any, labels: torch.Tensor, n_items: int
    ) -> torch.Tensor:
        """Return KL(target || outputs) over the replies of the batch that are there."""
        there = ~_absent(labels)
        return divergence_sum(outputs.logits[:, there], target.logits[:, there]) / n_items

    def run(  # type: ignore[override]
        self,
        model: torch.nn.Module,
        encoded: Conversations,
        pad_id: int,
        batch_tokens: int,
        n_labels: int,  # noqa: ARG002 - the protocol
    ) -> Array:
        """Return the scaled cosine of each candidate with its conversation, (n,)."""
        if not len(encoded):
            return np.zeros(0, dtype=np.float32)
        replies = list(itertools.chain.from_iterable(encoded.replies))
        mine, theirs = (
            logits_in_order(model, ids, pad_id, batch_tokens)
            for ids in (encoded.token_ids, replies)
        )
        mine = np.repeat(mine, [len(some) for some in encoded.replies], axis=0)
        return np.asarray(SCALE * (mine * theirs).sum(axis=1))

    def validation_scores(  # type: ignore[override]
        self,
        outputs: Array,
        encoded: Conversations,
        targets: Sequence[Any],  # noqa: ARG002 - the rows say it
        rows: ExampleRows,
        labels: Sequence[str],  # noqa: ARG002
    ) -> dict[str, float]:
        """Return loss (nats a row, among its own candidates), recall at 1, mean reciprocal rank."""
        scores = encoded.by_row(outputs.astype(np.float64))
        right = [candidates(target)[1] for target in rows.targets]
        losses = [
            np.logaddexp.reduce(some) - some[place]
            for some, place in zip(scores, right, strict=True)
        ]
        return {"loss": float(np.mean(losses)), **ranks(scores, right)}


def _absent(labels: torch.Tensor) -> torch.Tensor:
    """Return which replies (n * most,) only fill up a row that has fewer than another."""
    return (labels.flatten(0, 1) == IGNORED).all(dim=-1)


def _ids(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int | None
) -> list[list[int]]:
    cut: dict[str, Any] = {"truncation": max_length is not None, "max_length": max_length}
    ids: list[list[int]] = tokenizer(list(texts), verbose=False, **cut)["input_ids"]
    return ids


def _scoring(model: Any) -> torch.nn.Module:
    """Return the model as one that scores; a copy of it then runs its own weights.

    A pooler is taken out: nothing reads it, and several processes wait for each other's gradients
    of all weights.

    Raises
    ------
    TrainingError
        If it is an encoder with a decoder.
    """
    if len(stacks(model)) > 1:
        raise TrainingError(
            f"{type(model).__name__} has a decoder: a text has no vector",
            expected="an encoder, or a decoder alone",
            fix="set finetune.selector to cross, or name another finetune.base_model",
        )
    if hasattr(model, "pooler"):
        model.pooler = None
    kind = type(model)
    model.__class__ = type(kind.__name__, (_Scoring, kind), {})
    return model  # type: ignore[no-any-return]
