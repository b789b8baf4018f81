"""Extractive question answering: where the answer begins and ends, over windows of the context.

Devlin et al. (2019), section 4.2 and 4.3: a start and an end score for each token; the first token
stands for "no answer". An answer is the best span of all windows; where the training rows had
questions without answer, none is given if its score (the least over the windows) is higher. In a
decoder alone the first token has read nothing: an end token behind each window stands for it there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForTokenClassification, PreTrainedTokenizerBase

from pipeline_steps.inference.examples_file import ExampleRows
from pipeline_steps.inference.learners.body import build_with_head
from pipeline_steps.inference.learners.learner import ReadsRowsOnly
from pipeline_steps.inference.learners.losses import (
    Criterion,
    cross_entropy_sum,
    divergence_sum,
)
from pipeline_steps.inference.learners.scores import log_softmax
from pipeline_steps.inference.learners.windows import (
    Array,
    Windows,
    cut_texts,
    encode_windows,
    token_outputs,
)
from pipeline_steps.inference.unmerged.storage import load_model
from pipeline_steps.predictions_file import StructuredTable
from pipeline_steps.problems.question_answering import ANSWER, NO_ANSWER, Answer, answers
from pipeline_steps.problems.squad import best_scores

N_BEST = 20
MAX_ANSWER_TOKENS = 30
"""As in Google's run_squad.py."""
_PADDING = -1e4  # a logit that no softmax notices


@dataclass(frozen=True)
class _Found:
    """The best answer to a question; an empty text: none."""

    text: str
    start: int
    score: float


@dataclass(frozen=True)
class QuestionAnsweringLearner(ReadsRowsOnly):
    """A token classifier of transformers with two outputs, start and end.

    Other criteria than the cross-entropy make no sense here: smoothing would reward spans that
    cannot be, and places in a text are no classes.

    Parameters
    ----------
    criterion : callable
        What it learns by.
    looks_back : bool
        Whether a token sees only those before it.
    """

    criterion: Criterion = cross_entropy_sum
    looks_back: bool = False

    @property
    def nowhere(self) -> int:
        """Where in a window no answer is: at the first or the last token."""
        return -1 if self.looks_back else 0

    def labels_of(self, rows: ExampleRows) -> tuple[str, ...]:
        """Return whether there may be no answer: if some training row has none."""
        return (ANSWER, NO_ANSWER) if not all(map(answers, rows.targets)) else (ANSWER,)

    def build(self, base: Path, labels: Sequence[str]) -> tuple[torch.nn.Module, tuple[str, ...]]:  # noqa: ARG002
        """Return the base with a head over tokens."""
        return build_with_head(AutoModelForTokenClassification, base, ("start", "end"))

    def load(self, path: Path) -> torch.nn.Module:
        """Return the model in a checkpoint."""
        return load_model(path, AutoModelForTokenClassification)

    def encode(
        self,
        tokenizer: PreTrainedTokenizerBase,
        rows: ExampleRows,
        max_length: int,
        stride: int,
    ) -> Windows:
        """Return the windows of the contexts, each behind its question (which may be cut)."""
        asked = [pair or "" for pair in rows.pairs]
        questions = cut_texts(tokenizer, asked, max_length // 3)
        n_cut = sum(a != b for a, b in zip(asked, questions, strict=True))
        length = max_length - 1 if self.looks_back else max_length
        windows = encode_windows(tokenizer, rows.texts, length, stride, before=questions)
        if self.looks_back:
            windows = _ended(windows, tokenizer)
        return replace(windows, n_truncated=n_cut)

    def targets(
        self,
        encoded: Windows,
        rows: ExampleRows,
        labels: Sequence[str],  # noqa: ARG002 - the protocol
    ) -> list[tuple[int, int, int]]:
        """Return first and last token of the first answer, and the length, of each window.

        A window that does not hold the whole answer has none.
        """
        first = [next(iter(answers(target)), None) for target in rows.targets]
        return [
            (*_tokens_of(first[row], offsets, self.nowhere % len(offsets)), len(offsets))
            for row, offsets in zip(encoded.rows, encoded.offsets, strict=True)
        ]

    def classes(self, targets: Sequence[Any]) -> list[int]:  # noqa: ARG002 - the protocol
        """Return nothing: places in a text are no classes."""
        return []

    def as_tensor(self, targets: Sequence[tuple[int, int, int]]) -> torch.Tensor:
        """Return first token, last token and length (n, 3)."""
        return torch.tensor(targets)

    def n_items(self, labels: torch.Tensor) -> int:
        """Return the number of windows."""
        return len(labels)

    def loss(self, outputs: Any, labels: torch.Tensor, n_items: int) -> torch.Tensor:
        """Return the mean loss of start and end."""
        logits = _unpadded(outputs.logits, labels)
        total = sum(self.criterion(logits[:, :, i], labels[:, i]) for i in (0, 1))
        return torch.as_tensor(total) / (2 * n_items)

    def divergence(
        self, outputs: Any, target: Any, labels: torch.Tensor, n_items: int
    ) -> torch.Tensor:
        """Return KL(target || outputs), the mean of start and end."""
        ours, theirs = (_unpadded(o.logits, labels).transpose(1, 2) for o in (outputs, target))
        return divergence_sum(ours, theirs) / (2 * n_items)

    def run(
        self,
        model: torch.nn.Module,
        encoded: Windows,
        pad_id: int,
        batch_tokens: int,
        n_labels: int,  # noqa: ARG002 - the protocol
    ) -> list[Array]:
        """Return start and end logits (length, 2) of each window."""
        return token_outputs(model, encoded, pad_id, batch_tokens)

    def validation_scores(
        self,
        outputs: list[Array],
        encoded: Windows,
        targets: Sequence[tuple[int, int, int]],
        rows: ExampleRows,
        labels: Sequence[str],
    ) -> dict[str, float]:
        """Return loss (nats a window), F1 and exact match."""
        losses = [
            -log_softmax(values.T)[place, target[place]]
            for values, target in zip(outputs, targets, strict=True)
            for place in (0, 1)
        ]
        found = self._best(outputs, encoded, rows, labels)
        scores = [
            best_scores([text for text, _ in answers(target)], answer.text)
            for target, answer in zip(rows.targets, found, strict=True)
        ]
        exact, f1 = np.mean(scores, axis=0)
        return {"loss": float(np.mean(losses)), "f1": float(f1), "exact_match": float(exact)}

    def table(
        self, outputs: list[Array], encoded: Windows, rows: ExampleRows, labels: tuple[str, ...]
    ) -> StructuredTable:
        """Return true answers as JSON lists, predicted ones as JSON texts."""
        found = self._best(outputs, encoded, rows, labels)
        truth = [[text for text, _ in answers(target)] for target in rows.targets]
        return StructuredTable(
            example_ids=np.array(rows.example_ids, dtype=object),
            truth=_as_json(truth),
            predicted=_as_json([answer.text for answer in found]),
            score=np.array([answer.score for answer in found]),
            labels=labels,
            n_tokens=encoded.tokens_by_row(len(rows)),
            columns=rows.columns(),
        )

    def answers(
        self, outputs: list[Array], encoded: Windows, rows: ExampleRows, labels: tuple[str, ...]
    ) -> list[Mapping[str, Any]]:
        """Return answer, its place in the context (-1: there is none) and the confidence in it."""
        return [
            {"answer": answer.text, "start": answer.start, "score": answer.score}
            for answer in self._best(outputs, encoded, rows, labels)
        ]

    def _best(
        self, outputs: Sequence[Array], encoded: Windows, rows: ExampleRows, labels: Sequence[str]
    ) -> list[_Found]:
        """Return the best answer to each question."""
        spans: list[dict[tuple[int, int], float]] = [{} for _ in rows.texts]
        none = np.full(len(rows), np.inf)
        for row, offsets, values in zip(encoded.rows, encoded.offsets, outputs, strict=True):
            none[row] = min(none[row], values[self.nowhere].sum())
            for place, score in _candidates(values, offsets):
                spans[row][place] = max(score, spans[row].get(place, -np.inf))
        allowed = NO_ANSWER in labels
        return [
            _choose(text, of_row, float(null), allowed)
            for text, of_row, null in zip(rows.texts, spans, none, strict=True)
        ]


def _ended(windows: Windows, tokenizer: PreTrainedTokenizerBase) -> Windows:
    """Return the windows with a token behind each, which is not of the text."""
    known = (tokenizer.eos_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id)
    end = next(int(token) for token in known if token is not None)
    return replace(
        windows,
        token_ids=[[*ids, end] for ids in windows.token_ids],
        offsets=[np.pad(spans, ((0, 1), (0, 0)), constant_values=-1) for spans in windows.offsets],
    )


def _tokens_of(answer: Answer | None, offsets: Array, nowhere: int) -> tuple[int, int]:
    """Return the first and the last token of an answer in a window."""
    if answer is None:
        return nowhere, nowhere
    begin, end = answer[1], answer[1] + len(answer[0])
    inside = np.flatnonzero((offsets[:, 1] > begin) & (offsets[:, 0] < end) & (offsets[:, 0] >= 0))
    if not len(inside) or offsets[inside[0], 0] > begin or offsets[inside[-1], 1] < end:
        return nowhere, nowhere
    return int(inside[0]), int(inside[-1])


def _unpadded(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return logits (n, length, 2) in which padding counts for nothing: batches do not matter."""
    places = torch.arange(logits.shape[1], device=logits.device)
    return logits.float().masked_fill((places >= labels[:, 2:3])[:, :, None], _PADDING)


def _candidates(values: Array, offsets: Array) -> Iterator[tuple[tuple[int, int], float]]:
    """Yield (first, last + 1) characters and score of the likeliest spans of a window."""
    context = np.flatnonzero(offsets[:, 0] >= 0)
    starts, ends = (
        context[np.argsort(-values[context, side], kind="stable")[:N_BEST]] for side in (0, 1)
    )
    for start in starts.tolist():
        for end in ends.tolist():
            if start <= end < start + MAX_ANSWER_TOKENS:
                place = (int(offsets[start, 0]), int(offsets[end, 1]))
                yield place, float(values[start, 0] + values[end, 1])


def _choose(
    text: str, spans: Mapping[tuple[int, int], float], none: float, allowed: bool
) -> _Found:
    """Return the best of the spans, or none where that is allowed and scores higher."""
    best = sorted(spans.items(), key=lambda item: (-item[1], item[0]))[:N_BEST]
    scores = np.array([score for _, score in best] + ([none] if allowed or not best else []))
    weights = np.exp(scores - scores.max())
    winner = int(weights.argmax())
    confidence = float(weights[winner] / weights.sum())
    if winner == len(best):
        return _Found("", -1, confidence)
    begin, end = best[winner][0]
    # Some tokenizers count the blank before a word to its token.
    begin += len(text[begin:end]) - len(text[begin:end].lstrip())
    return _Found(text[begin:end], begin, confidence)


def _as_json(content: Sequence[Any]) -> Array:
    return np.array([json.dumps(item, ensure_ascii=False) for item in content], dtype=object)
