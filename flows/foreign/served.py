"""A model that runs elsewhere, or is loaded by MLflow, as a victim: it answers, and that is all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from flows.victims import table_of_answers
from pipeline_steps.errors import DataError
from pipeline_steps.evaluation.attacks.goals import Answer
from pipeline_steps.evaluation.attacks.passage import Row
from pipeline_steps.inference.served_answers import Said, read_said, shown
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.problems.multi_label_classification import labels_of
from pipeline_steps.problems.ner import tokens_and_tags
from pipeline_steps.problems.question_answering import answers as true_answers

if TYPE_CHECKING:
    from flows.foreign.named import NamedModel
    from pipeline_steps.predictions_file import AnyTable
    from pipeline_steps.problems.problem import Problem

Asked = list[tuple[Any, int]]
_FIELDS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "ner": ("tags", lambda target: tokens_and_tags(target)[1]),
    "multi_label_classification": ("labels", labels_of),
    "question_answering": ("answer", lambda t: [text for text, _ in true_answers(t)]),
}
"""Of problems whose answer is no label: the field of the answer, and the truth in a target."""
SERVED = ("text_classification", "relation_extraction", *_FIELDS)


class Asker(Protocol):
    """Something that returns, batch by batch, what came back and of how many rows it was asked."""

    def __call__(self, requests: Sequence[Mapping[str, Any]], /) -> Asked:
        """Return what came back."""
        ...


class ServedVictim:
    """Answers rows by what a served model returns for them.

    Parameters
    ----------
    model : NamedModel
        Its problem, its labels, how they are called here.
    ask : callable
        Asks it.
    """

    predictor = None

    def __init__(self, model: NamedModel, ask: Asker) -> None:
        self.model = model
        self.ask = ask

    @property
    def problem(self) -> Problem:
        """What the model is for."""
        return get_problem(self.model.problem)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that probabilities are of."""
        return self.model.labels

    def __call__(self, rows: Sequence[Row]) -> list[Answer]:
        """Return the answers to rows, in their order."""
        if not rows:
            return []
        if self.problem.has_label:
            told = zip(rows, self.said(rows), strict=True)
            return [self._labelled(str(row["label"]), said) for row, said in told]
        return self._structured(rows)

    def said(self, rows: Sequence[Row]) -> list[Said]:
        """Return labels and scores as the model tells them, under the data's names."""
        found = []
        for output, n in self._asked(rows):
            found += [self._renamed(said) for said in read_said(output, n)]
        return found

    def predictions(self, rows: Sequence[Row]) -> AnyTable:
        """Return the predictions on rows, in their order."""
        return self.table(rows, self(rows))

    def table(self, rows: Sequence[Row], answers: Sequence[Answer]) -> AnyTable:
        """Return answers as the predictions on rows."""
        return table_of_answers(rows, answers, self.labels)

    def counts(self) -> Mapping[str, int]:
        """Return zeros: what a server reads is its own."""
        return {"n_forwards": 0, "n_tokens": 0, "n_padding": 0}

    def _asked(self, rows: Sequence[Row]) -> Asked:
        return self.ask([self.problem.request(row) for row in rows])

    def _renamed(self, said: Said) -> Said:
        names = self.model.renamed
        scores = said.scores
        if scores is not None:
            scores = {names.get(label, label): share for label, share in scores.items()}
        return Said(names.get(said.label, said.label), said.score, scores)

    def _labelled(self, truth: str, said: Said) -> Answer:
        if not self.model.full:
            return Answer(truth, said.label, said.score)
        if said.scores is None or set(said.scores) != set(self.labels):
            told = "none" if said.scores is None else ", ".join(sorted(said.scores)[:10])
            raise DataError(
                f"an answer has scores for {told}; the first ones had {len(self.labels)} labels",
                expected=f"a score for each of {', '.join(self.labels[:10])} in every answer",
                fix="let the model return all labels for each row, or the best one for each",
            )
        shares = np.array([said.scores[label] for label in self.labels])
        return Answer(truth, said.label, said.score, shares / shares.sum())

    def _structured(self, rows: Sequence[Row]) -> list[Answer]:
        field, truth_in = _FIELDS[self.problem.name]
        found: list[Any] = []
        for output, n in self._asked(rows):
            found += _mappings(output, n, field)
        return [
            Answer(_json(truth_in(row["target"])), _json(given[field]), float(given["score"]))
            for row, given in zip(rows, found, strict=True)
        ]


def _mappings(output: Any, n: int, field: str) -> list[Mapping[str, Any]]:
    """Return the answers of a problem whose answer is no label."""
    if isinstance(output, Mapping):
        output = output.get("predictions", output)
    wanted = {field, "score"}
    sound = isinstance(output, list) and len(output) == n
    if not sound or not all(isinstance(item, Mapping) and wanted <= set(item) for item in output):
        raise DataError(
            f"answers to {n} rows that are none: {shown(output)}",
            expected=f"for each row a mapping with {field!r} and 'score', as Holdfast's own models "
            "answer",
            fix="serve a version that Holdfast registered, or name the model's directory",
        )
    return list(output)


def _json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False)
