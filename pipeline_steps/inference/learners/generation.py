"""Problems whose answer is written: translation, summarisation, dialogue.

An encoder-decoder reads the text and writes the answer; a decoder alone goes on from the text
(Radford et al. 2019). The loss is that of the answer's tokens only, in both. Decoding is greedy or
by beam search, without chance.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from pipeline_steps.generation_params import GenerationParams
from pipeline_steps.inference.examples_file import ExampleRows
from pipeline_steps.inference.learners.decoding import (
    Array,
    Ids,
    decoder_inputs,
    padded_targets,
    read_and_target,
    surprise,
    write,
)
from pipeline_steps.inference.learners.language_model import build_writer, load_writer
from pipeline_steps.inference.learners.losses import (
    IGNORED,
    Criterion,
    cross_entropy_sum,
    divergence_sum,
)
from pipeline_steps.inference.learners.prompting import (
    decoder_prompt,
    decoder_reply,
    end_token,
    room_for_prompt,
    source_prompt,
    source_reply,
)
from pipeline_steps.inference.tokenization import Encoded
from pipeline_steps.predictions_file import StructuredTable
from pipeline_steps.problem_defaults import HEADLINES
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.problems.conversation import USER, Message
from pipeline_steps.problems.problem import StructuredProblem
from pipeline_steps.problems.writing import Written, context, references


@dataclass(frozen=True)
class Asked(Encoded):
    """What a model is asked and what it is to reply, as token ids; an unknown reply is empty."""

    prompts: list[Ids]
    replies: list[Ids]
    tokenizer: PreTrainedTokenizerBase

    @property
    def lengths(self) -> list[int]:
        """Tokens read and written of each row."""
        pairs = zip(self.prompts, self.replies, strict=True)
        return [len(prompt) + len(reply) for prompt, reply in pairs]

    @property
    def ids_read(self) -> Sequence[Sequence[int]]:
        """All ids that a model meets in training, those that it is to write included."""
        return [*self.token_ids, *self.replies]

    def text(self, ids: Sequence[int]) -> str:
        """Return what token ids say."""
        said = self.tokenizer.decode(
            list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return str(said).strip()


@dataclass(frozen=True)
class Outputs:
    """What a model did: the first texts that it wrote, and the surprise at each known reply."""

    written: list[Ids]
    log_probability: Array  # of what was written, (n_written,)
    nll: Array  # of the known replies, (n,)


@dataclass(frozen=True)
class GenerationLearner:
    """A model of transformers that writes.

    Parameters
    ----------
    problem : str
        Names the metrics and the field of the answer.
    criterion : callable
        What the answer's tokens are learnt by.
    generation : GenerationParams
        How it is asked and writes.
    start : int or None
        What the decoder begins with; None: there is no encoder.
    decoded_rows : int or None
        Rows that are written for, the first ones; None: all.
    """

    problem: str
    criterion: Criterion = cross_entropy_sum
    generation: GenerationParams = field(default_factory=GenerationParams)
    start: int | None = None
    decoded_rows: int | None = None

    def labels_of(self, rows: ExampleRows) -> tuple[str, ...]:  # noqa: ARG002 - the protocol
        """Return none: an answer is no label."""
        return ()

    def build(self, base: Path, labels: Sequence[str]) -> tuple[torch.nn.Module, tuple[str, ...]]:  # noqa: ARG002
        """Return the base; it has its head already."""
        return build_writer(base), ()

    def load(self, path: Path) -> torch.nn.Module:
        """Return the model in a checkpoint."""
        return load_writer(path)

    def encode(
        self,
        tokenizer: PreTrainedTokenizerBase,
        rows: ExampleRows,
        max_length: int,
        stride: int,  # noqa: ARG002 - a text that is too long is cut
    ) -> Asked:
        """Return prompts, cut to ``max_length`` tokens, and replies, cut to what may be written."""
        if self.start is None:
            max_length = room_for_prompt(tokenizer, max_length, self.generation.max_new_tokens)
        prompts, replies, n_cut = [], [], 0
        for text, target in zip(rows.texts, rows.targets, strict=True):
            prompt, reply, cut = self._encode_row(tokenizer, text, target, max_length)
            prompts.append(prompt)
            replies.append(reply)
            n_cut += cut
        pairs = zip(prompts, replies, strict=True)
        read = [read_and_target(prompt, reply, self.start)[0] for prompt, reply in pairs]
        return Asked(read, n_cut, prompts, replies, tokenizer)

    def targets(
        self,
        encoded: Asked,
        rows: ExampleRows,  # noqa: ARG002 - the protocol
        labels: Sequence[str],  # noqa: ARG002
    ) -> list[Ids]:
        """Return the token that each position is to write, ``IGNORED`` where nothing is."""
        return [
            read_and_target(prompt, reply, self.start)[1]
            for prompt, reply in zip(encoded.prompts, encoded.replies, strict=True)
        ]

    def classes(self, targets: Sequence[Any]) -> list[int]:  # noqa: ARG002 - the protocol
        """Return nothing: tokens are not weighed by how often they occur."""
        return []

    def as_tensor(self, targets: Sequence[Ids]) -> torch.Tensor:
        """Return target ids (n, longest), padded with ``IGNORED``."""
        return padded_targets(targets)

    def more_inputs(self, labels: torch.Tensor, pad_id: int) -> dict[str, torch.Tensor]:
        """Return what the decoder of an encoder-decoder reads."""
        if self.start is None:
            return {}
        return {"decoder_input_ids": decoder_inputs(labels, self.start, pad_id)}

    def n_items(self, labels: torch.Tensor) -> int:
        """Return the number of tokens to be written."""
        return int((labels != IGNORED).sum())

    def loss(self, outputs: Any, labels: torch.Tensor, n_items: int) -> torch.Tensor:
        """Return the cross-entropy over the tokens to be written."""
        counts = labels != IGNORED
        logits = outputs.logits[counts]
        return self.criterion(logits, labels[counts]) / max(n_items, 1)

    def divergence(
        self, outputs: Any, target: Any, labels: torch.Tensor, n_items: int
    ) -> torch.Tensor:
        """Return KL(target || outputs) over the tokens to be written."""
        counts = labels != IGNORED
        return divergence_sum(outputs.logits[counts], target.logits[counts]) / max(n_items, 1)

    def run(
        self,
        model: Any,
        encoded: Asked,
        pad_id: int,
        batch_tokens: int,
        n_labels: int,  # noqa: ARG002 - the protocol
    ) -> Outputs:
        """Return what the model writes for the rows, and how surprised it is by their replies."""
        asked = encoded.prompts[: self.decoded_rows]
        writer = model if hasattr(model, "generate") else model.model
        written: list[Ids] = []
        if asked:
            end = end_token(encoded.tokenizer)
            written = write(
                writer, asked, pad_id, batch_tokens, self.generation, start=self.start, end=end
            )
        ours = surprise(model, asked, written, pad_id, batch_tokens, self.start)
        nll = surprise(model, encoded.prompts, encoded.replies, pad_id, batch_tokens, self.start)
        return Outputs(written, -ours, nll)

    def validation_scores(
        self,
        outputs: Outputs,
        encoded: Asked,
        targets: Sequence[Ids],  # noqa: ARG002 - they are in ``encoded``
        rows: ExampleRows,
        labels: Sequence[str],  # noqa: ARG002
    ) -> dict[str, float]:
        """Return loss (nats a token) of all rows, and the headline metrics of the decoded ones."""
        loss = float(outputs.nll.sum() / max(sum(map(len, encoded.replies)), 1))
        names = HEADLINES[self.problem]
        written = _written(outputs, encoded)
        if not written:
            return {"loss": loss}
        asked = cast("StructuredProblem", get_problem(self.problem))
        found = asked.statistics(_truth(rows)[: len(written)], [w.as_json() for w in written])
        sums = found.counts.sum(axis=0, keepdims=True)
        metrics = found.metrics(sums, np.array([float(len(written))]))
        return {"loss": loss, **{name: float(metrics[name][0]) for name in names}}

    def table(
        self, outputs: Outputs, encoded: Asked, rows: ExampleRows, labels: tuple[str, ...]
    ) -> StructuredTable:
        """Return the references as JSON lists, what was written as JSON objects."""
        written = [w.as_json() for w in _written(outputs, encoded)]
        return StructuredTable(
            example_ids=np.array(rows.example_ids, dtype=object),
            truth=np.array(_truth(rows), dtype=object),
            predicted=np.array(written, dtype=object),
            score=np.exp(outputs.log_probability),
            labels=labels,
            n_tokens=np.array([len(prompt) for prompt in encoded.prompts], dtype=np.int32),
            columns=rows.columns(),
        )

    def answers(
        self,
        outputs: Outputs,
        encoded: Asked,
        rows: ExampleRows,  # noqa: ARG002 - the protocol
        labels: tuple[str, ...],  # noqa: ARG002
    ) -> list[Mapping[str, Any]]:
        """Return what was written, and its probability as a whole."""
        name = get_problem(self.problem).outputs[0].name
        scores = np.exp(outputs.log_probability).tolist()
        texts = [encoded.text(ids) for ids in outputs.written]
        return [{name: text, "score": score} for text, score in zip(texts, scores, strict=True)]

    def _encode_row(
        self, tokenizer: PreTrainedTokenizerBase, text: str, target: str, max_length: int
    ) -> tuple[Ids, Ids, bool]:
        """Return prompt and reply of a row, and whether one of them was cut."""
        messages = self._messages(text, target)
        reply = references(target)[0] if target and references(target) else None
        if self.start is None:
            prompt, cut = decoder_prompt(tokenizer, messages, max_length)
            ids = [] if reply is None else decoder_reply(tokenizer, messages, reply)
        else:
            prompt, cut = source_prompt(tokenizer, messages, max_length)
            ids = [] if reply is None else source_reply(tokenizer, reply)
        limit = self.generation.max_new_tokens
        return prompt, ids[:limit], cut or len(ids) > limit

    def _messages(self, text: str, target: str) -> list[Message]:
        found = context(target) if target else None
        return found or [Message(USER, self.generation.prefix + text)]


def _truth(rows: ExampleRows) -> list[str]:
    return [json.dumps(references(target), ensure_ascii=False) for target in rows.targets]


def _written(outputs: Outputs, encoded: Asked) -> list[Written]:
    return [
        Written(encoded.text(ids), float(nll), len(reply))
        for ids, nll, reply in zip(outputs.written, outputs.nll, encoded.replies, strict=False)
    ]
