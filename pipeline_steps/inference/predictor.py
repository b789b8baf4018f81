"""A loaded checkpoint that answers rows; needs torch, transformers, numpy and pydantic only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline_steps.generation_params import GenerationParams
from pipeline_steps.inference.checkpoint import load_checkpoint
from pipeline_steps.inference.examples_file import ExampleRows, rows_of
from pipeline_steps.inference.forward import autocast, best_device, logits_in_order
from pipeline_steps.inference.learners.catalog import get_learner
from pipeline_steps.inference.learners.learner import Learner
from pipeline_steps.inference.learners.one_label import label_answers
from pipeline_steps.inference.memory import in_smaller_batches
from pipeline_steps.inference.positions import most_positions
from pipeline_steps.inference.precision import choose_precision
from pipeline_steps.inference.tokenization import Encoded, be_quiet, encode, load_tokenizer
from pipeline_steps.predictions_file import AnyTable
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.problems.problem import Content

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

Array = np.ndarray[Any, Any]
_DEFAULT_STRIDE = 64  # of checkpoints from before there were windows


@dataclass(frozen=True)
class PreparedRow:
    """A request as a model reads it.

    ``token_ids`` are ``None`` where it is more than a list; ``opening`` are the ids that are read
    first: of a text in several windows those of the first.
    """

    content: Content
    tokens: int
    token_ids: list[int] | None = None
    opening: list[int] | None = None


class Predictor:
    """Answers to rows, in the order of the rows whatever the batches.

    ``encode``, ``logits`` and ``predict`` read texts and are for text classification; ``table``
    and ``answer`` read the rows of every problem. Texts are cut to ``max_length`` tokens, and to
    what the model has positions for.
    """

    def __init__(  # noqa: PLR0913 - keywords
        self,
        model: torch.nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        labels: tuple[str, ...],
        *,
        max_length: int,
        batch_tokens: int,
        precision: str,
        problem: str = "text_classification",
        stride: int = _DEFAULT_STRIDE,
        learner: Learner | None = None,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.labels = labels
        self.max_length = min(max_length, most_positions(model) or max_length)
        self.batch_tokens = batch_tokens
        self.precision = precision
        self.problem = get_problem(problem)
        self.learner = learner or get_learner(problem)
        self.stride = stride

    @classmethod
    def from_checkpoint(
        cls, path: Path, *, precision: str = "fp32", batch_tokens: int = 4096, verify: bool = True
    ) -> Predictor:
        """Return a predictor on the best device of this machine.

        Raises
        ------
        CheckpointError
            If the checkpoint is unfinished, truncated or altered.
        """
        checkpoint = load_checkpoint(Path(path), verify=verify)
        be_quiet()
        device = best_device()
        asked = checkpoint.parameters.get("generation", {})
        learner = get_learner(
            checkpoint.problem,
            generation=GenerationParams.model_validate(asked),
            selector=str(checkpoint.parameters.get("selector", "cross")),
            path=Path(path),
        )
        model = learner.load(Path(path))
        return cls(
            model.to(device).eval(),
            load_tokenizer(Path(path)),
            checkpoint.labels,
            max_length=int(checkpoint.parameters["max_length"]),
            batch_tokens=batch_tokens,
            precision=choose_precision(precision, device),
            problem=checkpoint.problem,
            stride=int(checkpoint.parameters.get("stride", _DEFAULT_STRIDE)),
            learner=learner,
        )

    def table(self, rows: ExampleRows) -> AnyTable:
        """Return the predictions of examples beside their truth."""
        encoded, outputs = self._run(rows)
        return self.learner.table(outputs, encoded, rows, self.labels)

    def answer(self, requests: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Return the answer to each request: a mapping with the problem's input columns."""
        rows = rows_of([self.problem.example(request) for request in requests])
        encoded, outputs = self._run(rows)
        return self.learner.answers(outputs, encoded, rows, self.labels)

    def prepare(self, requests: Sequence[Mapping[str, Any]]) -> list[PreparedRow]:
        """Return each request with its tokens, for :meth:`answer_prepared`."""
        contents = [self.problem.example(request) for request in requests]
        encoded = self._encode(rows_of(contents))
        if type(encoded) is Encoded:  # one list of ids for each row and nothing beside it
            pairs = zip(contents, encoded.token_ids, strict=True)
            return [PreparedRow(content, len(ids), ids, ids) for content, ids in pairs]
        lengths = encoded.lengths
        if len(lengths) == len(contents):
            triples = zip(contents, lengths, encoded.token_ids, strict=True)
            return [PreparedRow(content, n, opening=ids) for content, n, ids in triples]
        if len(contents) == 1:  # read in several windows
            opening = next(iter(encoded.token_ids), None)
            return [PreparedRow(contents[0], sum(lengths), opening=opening)]
        return [self.prepare([request])[0] for request in requests]

    def answer_prepared(self, prepared: Sequence[PreparedRow]) -> list[Mapping[str, Any]]:
        """Return the answer to each prepared request; what has its token ids is not read again."""
        rows = rows_of([row.content for row in prepared])
        ids = [row.token_ids for row in prepared if row.token_ids is not None]
        encoded = Encoded(ids, 0) if len(ids) == len(prepared) else self._encode(rows)
        return self.learner.answers(self._outputs(encoded), encoded, rows, self.labels)

    def encode(self, texts: Sequence[str], pairs: Sequence[str | None] | None = None) -> Encoded:
        """Return the token ids of texts."""
        if not texts:
            return Encoded([], 0)
        return encode(self.tokenizer, texts, pairs, self.max_length)

    def logits_of(self, encoded: Encoded) -> Array:
        """Return logits (n, n_labels) of encoded texts."""
        if not len(encoded):
            return np.zeros((0, len(self.labels)), dtype=np.float32)
        pad_id = int(self.tokenizer.pad_token_id)
        with self._autocast():
            return in_smaller_batches(
                lambda n: logits_in_order(self.model, encoded.token_ids, pad_id, n),
                self.batch_tokens,
            )

    def logits(self, texts: Sequence[str], pairs: Sequence[str | None] | None = None) -> Array:
        """Return logits (n, n_labels) of texts."""
        return self.logits_of(self.encode(texts, pairs))

    def predict(
        self, texts: Sequence[str], pairs: Sequence[str | None] | None = None
    ) -> list[Mapping[str, Any]]:
        """Return label, its probability and the probability of every label, for each text."""
        return label_answers(self.logits(texts, pairs), self.labels)

    def _run(self, rows: ExampleRows) -> tuple[Any, Any]:
        """Return encoded rows and the model's outputs on them."""
        encoded = self._encode(rows)
        return encoded, self._outputs(encoded)

    def _outputs(self, encoded: Any) -> Any:
        pad_id, n_labels = int(self.tokenizer.pad_token_id), len(self.labels)
        with self._autocast():
            return in_smaller_batches(
                lambda n: self.learner.run(self.model, encoded, pad_id, n, n_labels),
                self.batch_tokens,
            )

    def _encode(self, rows: ExampleRows) -> Any:
        return self.learner.encode(self.tokenizer, rows, self.max_length, self.stride)

    def _autocast(self) -> Any:
        return autocast(self.precision, next(self.model.parameters()).device)
