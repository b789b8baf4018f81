"""What evaluation and attacks ask: a model, wherever it is, as rows in and answers out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pipeline_steps.errors import ConfigurationError
from pipeline_steps.evaluation.attacks.goals import Answer
from pipeline_steps.evaluation.attacks.passage import Row
from pipeline_steps.evaluation.metrics import softmax
from pipeline_steps.predictions_file import (
    METADATA_COLUMNS,
    AnyTable,
    PredictionTable,
    StructuredTable,
)

if TYPE_CHECKING:
    from pipeline_steps.inference.examples_file import ExampleRows
    from pipeline_steps.inference.predictor import Predictor
    from pipeline_steps.problems.problem import Problem

_LEAST = 1e-30  # a probability whose logarithm is still a float32


class Victim(Protocol):
    """A model that is judged, whoever trained it and wherever it runs."""

    @property
    def problem(self) -> Problem:
        """What it is for."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that probabilities are of."""
        ...

    @property
    def predictor(self) -> Predictor | None:
        """Its weights, for gradients; ``None``: it runs elsewhere."""
        ...

    def __call__(self, rows: Sequence[Row]) -> list[Answer]:
        """Return the answers to rows, in their order."""
        ...

    def predictions(self, rows: Sequence[Row]) -> AnyTable:
        """Return the predictions on rows, in their order."""
        ...

    def table(self, rows: Sequence[Row], answers: Sequence[Answer]) -> AnyTable:
        """Return answers as the predictions on rows."""
        ...

    def counts(self) -> Mapping[str, int]:
        """Return forward passes, real and padding tokens so far; 0 where it does not say."""
        ...


class CheckpointVictim:
    """Answers rows by one run of the model over all of them, in batches of like length."""

    def __init__(self, predictor: Predictor) -> None:
        from pipeline_steps.inference.meter import ForwardMeter

        self.predictor = predictor
        self.meter = ForwardMeter(predictor.model)

    @property
    def problem(self) -> Problem:
        """What the model is for."""
        return self.predictor.problem

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that probabilities are of."""
        return self.predictor.labels

    def __call__(self, rows: Sequence[Row]) -> list[Answer]:
        """Return the answers to rows, in their order."""
        if not rows:
            return []
        table = self.predictions(rows)
        shares: Any = [None] * len(rows)
        if isinstance(table, PredictionTable):
            shares = softmax(table.logits)
        return [
            Answer(str(truth), str(said), float(sure), share)
            for truth, said, sure, share in zip(
                table.truth, table.predicted, table.score, shares, strict=True
            )
        ]

    def counts(self) -> Mapping[str, int]:
        """Return forward passes, real and padding tokens so far."""
        return self.meter.counts()

    def predictions(self, rows: Sequence[Row]) -> AnyTable:
        """Return the model's outputs on rows, in their order."""
        return self.predictor.table(_example_rows(rows))

    def table(self, rows: Sequence[Row], answers: Sequence[Answer]) -> AnyTable:
        """Return answers as the predictions on rows."""
        return table_of_answers(rows, answers, self.labels)


def table_of_answers(
    rows: Sequence[Row], answers: Sequence[Answer], labels: tuple[str, ...]
) -> AnyTable:
    """Return answers as the predictions on rows: with logits where all have probabilities."""
    examples = _example_rows(rows)
    shared: dict[str, Any] = {
        "example_ids": np.array(examples.example_ids, dtype=object),
        "truth": np.array([answer.truth for answer in answers], dtype=object),
        "labels": labels,
        "n_tokens": np.zeros(len(rows), dtype=np.int32),
        "columns": examples.columns(),
    }
    if all(answer.probabilities is not None for answer in answers):
        shares = np.array([answer.probabilities for answer in answers], dtype=float)
        return PredictionTable(
            logits=np.log(np.maximum(shares, _LEAST)).astype(np.float32), **shared
        )
    return StructuredTable(
        predicted=np.array([answer.predicted for answer in answers], dtype=object),
        score=np.array([answer.confidence for answer in answers], dtype=float),
        **shared,
    )


def refuse_without_vectors(predictor: Predictor, asking: str) -> None:
    """Refuse gradients of a model whose word vectors cannot be told from its prompt.

    Raises
    ------
    ConfigurationError
        If the model is a language model with a prompt.
    """
    if not hasattr(predictor.model, "get_input_embeddings"):
        raise ConfigurationError(
            f"{asking} asks for gradients, and a model of finetune.tuning in_context gives none",
            expected="a classifier that was trained: any other kind of finetune.tuning",
            fix="leave out hotflip, universal_trigger, the gradient ranking and the ball; "
            "deepwordbug and textfooler, for example, ask for answers only",
        )


def exact_victim(path: Path) -> CheckpointVictim:
    """Return a checkpoint as it is judged: in full precision."""
    from pipeline_steps.inference.predictor import Predictor

    return CheckpointVictim(Predictor.from_checkpoint(path))


def scouting_victim(exact: CheckpointVictim, path: Path, wanted: str) -> CheckpointVictim | None:
    """Return a cheaper copy of a victim, or ``None`` where there is none that pays."""
    import torch

    from pipeline_steps.inference.precision import choose_precision
    from pipeline_steps.inference.predictor import Predictor

    device = next(exact.predictor.model.parameters()).device
    precision = "fp32" if wanted == "none" else choose_precision(wanted, device)
    if precision == "fp32":
        return None
    predictor = Predictor.from_checkpoint(path, verify=False)
    predictor.model.to(torch.bfloat16)
    return CheckpointVictim(predictor)


def _example_rows(rows: Sequence[Row]) -> ExampleRows:
    from pipeline_steps.inference.examples_file import ExampleRows

    return ExampleRows(
        example_ids=[str(row["example_id"]) for row in rows],
        texts=[row["text"] for row in rows],
        pairs=[row["text_pair"] for row in rows],
        labels=[row["label"] for row in rows],
        targets=[row["target"] for row in rows],
        metadata={name: [_written(row.get(name)) for row in rows] for name in METADATA_COLUMNS},
    )


def _written(value: object) -> str | None:
    from pipeline_steps.inference.examples_file import as_string

    return None if value is None else as_string(value)
