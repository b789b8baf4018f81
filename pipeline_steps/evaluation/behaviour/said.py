"""Answers that are more than one label, held against what a behavioural test expects of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pipeline_steps.evaluation.behaviour.asked import Question
from pipeline_steps.evaluation.behaviour.cases import Case
from pipeline_steps.evaluation.behaviour.declared import Change, DeclaredTest
from pipeline_steps.evaluation.behaviour.watched import direction
from pipeline_steps.problem_defaults import WRITING
from pipeline_steps.problems.entities import entities
from pipeline_steps.problems.squad import best_scores, normalized

Pairs = Sequence[tuple[str, str]]
"""What is said, piece by piece: (type, entity), ("label", label), ("answer" or "text", text)."""


@dataclass(frozen=True)
class Said:
    """What a model answers to each question, as JSON of its problem, and how sure it is of it."""

    problem: str
    by_question: Mapping[Question, str]
    scores: Mapping[Question, float]

    def verdict(self, test: DeclaredTest, case: Case) -> tuple[str | None, str]:
        """Return what was expected and what came; ``None`` for what was met."""
        if test.must_not is not None and case.original is not None:
            before, after = (self._watched(test, q) for q in (case.original, case.question))
            return direction(test, self.problem, before, after)
        found = self._pairs(case.question)
        if case.original is None:
            expected: Pairs = case.expected
            met = self._meets(expected, found)
        else:
            expected = self._pairs(case.original)
            met = self._is_left(expected, found, test.change)
        return None if met else self._told(expected), self._told(found)

    def _watched(self, test: DeclaredTest, question: Question) -> float:
        """Return how sure an answer is, or how much there is in it."""
        if test.watch == "score":
            return self.scores[question]
        pairs = self._pairs(question)
        if self.problem in WRITING:
            return sum(len(text.split()) for _, text in pairs)
        kind = 0 if self.problem == "ner" else 1  # where a pair names what is counted
        return sum(test.label in (None, pair[kind]) for pair in pairs)

    def _pairs(self, question: Question) -> Pairs:
        return _READERS[self.problem](self.by_question[question], question.text)

    def _meets(self, expected: Pairs, found: Pairs) -> bool:
        """Return whether an answer is what is expected: of a text some parts, of the rest all."""
        if self.problem in WRITING:
            said = _plain(found[0][1])
            return all((_plain(text) in said) == (kind == "contains") for kind, text in expected)
        if self.problem == "question_answering":
            return best_scores([t for _, t in expected], "".join(t for _, t in found))[0] == 1.0
        return sorted(expected) == sorted(found)

    def _is_left(self, before: Pairs, after: Pairs, change: Change | None) -> bool:
        """Return whether a change left an answer as it was, but for case and blanks.

        Of entities the types are compared, in their order, and the words too where the change only
        put something beside them.
        """
        if self.problem == "question_answering":
            return [normalized(text) for _, text in before] == [normalized(t) for _, t in after]
        if self.problem == "ner" and change is not None and change.beside is None:
            return [kind for kind, _ in before] == [kind for kind, _ in after]
        return [(k, _plain(t)) for k, t in before] == [(k, _plain(t)) for k, t in after]

    def _told(self, pairs: Pairs) -> str:
        """Return an answer, or what is expected of one, in words."""
        named = self.problem == "ner" or any(kind in ("contains", "lacks") for kind, _ in pairs)
        return "; ".join(f"{k}: {t}" if named else t for k, t in pairs) or "nothing"


def _tagged(predicted: str, text: str) -> Pairs:
    words = text.split()
    spans = entities(json.loads(predicted))
    return [(kind, " ".join(words[start:end])) for kind, start, end in spans]


def _written(predicted: str, text: str) -> Pairs:
    del text
    return [("text", json.loads(predicted)["text"])]


_READERS: Mapping[str, Callable[[str, str], Pairs]] = {
    "ner": _tagged,
    "question_answering": lambda said, _: [("answer", text) for text in [json.loads(said)] if text],
    "multi_label_classification": lambda said, _: [("label", n) for n in sorted(json.loads(said))],
    **dict.fromkeys(WRITING, _written),
}


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
