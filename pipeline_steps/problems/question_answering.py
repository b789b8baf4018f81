"""Extractive question answering: the answer to a question is a span of a context, or none.

An example's text is the context, its ``text_pair`` the question, its target
``{"answers": [{"text": ..., "start": ...}]}``; no answer: the question cannot be answered.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pipeline_steps.fields import NotAValueError, as_objects, as_text
from pipeline_steps.problems.problem import Content, Field, Noise, end_behind
from pipeline_steps.problems.squad import best_scores
from pipeline_steps.problems.statistics import Array, Statistics, most_frequent, ratio

Answer = tuple[str, int]
"""The text of an answer and where it begins in the context."""
ANSWER, NO_ANSWER = "answer", "no answer"


class QuestionAnswering:
    """Rows of a context, a question and its answers."""

    name = "question_answering"
    has_label = False
    min_labels = 0
    target_is_input = False
    keeps_texts_together = True
    flaws: Mapping[str, str] = {
        "question_missing": "text_pair",
        "target_missing": "target",
        "answer_empty": "target",
        "answer_misplaced": "target",
    }
    inputs = (Field("question"), Field("context"))
    outputs = (Field("answer"), Field("start", "long"), Field("score", "double"))
    needed_label = ANSWER
    none_of_it = "no question that is left has an answer: a model would learn to give none"

    def read(self, value: Callable[[str], Any]) -> Content:
        """Return context, question and answers of a raw row."""
        context = as_text("context", value("context"))
        question = as_text("question", value("question"))
        found = as_objects("answers", value("answers"))
        if found is None:
            return Content(context, question)
        return Content(context, question, target_of([_answer(item) for item in found]))

    def find_flaws(self, row: Mapping[str, Any]) -> Sequence[str]:
        """Return what is wrong with question and answers of an example."""
        found = [] if row["target"] is None else answers(row["target"])
        context = row["text"] or ""
        checks = {
            "question_missing": not (row["text_pair"] or "").strip(),
            "target_missing": row["target"] is None,
            "answer_empty": any(not text.strip() for text, _ in found),
            "answer_misplaced": any(context[s : s + len(text)] != text for text, s in found),
        }
        return [reason for reason, wrong in checks.items() if wrong]

    def labels_in(
        self,
        labels: Iterable[str | None],  # noqa: ARG002 - the protocol
        targets: Iterable[str | None],
    ) -> Iterable[str]:
        """Return of each row whether it has an answer."""
        return (
            ANSWER if answers(target) else NO_ANSWER for target in targets if target is not None
        )

    def noisy(self, row: Mapping[str, Any], noise: Noise) -> dict[str, Any]:
        """Return the row with noise in the question; the answers stand where they stood."""
        changed = noise(row["text_pair"], "text_pair")
        return {**row, "text_pair": changed if changed.strip() else row["text_pair"]}

    def attackable(self, row: Mapping[str, Any], change: Noise) -> dict[str, Any]:
        """Return the row with changes in the question and in the context outside the answers.

        The answers stay letter by letter and follow the text. A context is never emptied.
        """
        asked = self.noisy(row, change)
        text, found = row["text"], answers(row["target"])
        cuts, moved, parts = _cuts(text, found), {0: 0}, [""]
        for place, (start, end) in enumerate(itertools.pairwise(cuts)):
            inside = any(first <= start and end <= first + len(said) for said, first in found)
            part = text[start:end]
            parts.append(part if inside else change(part, f"context{place}"))
            moved[end] = moved[start] + len(parts[-1])
        changed = "".join(parts)
        if not changed.strip():
            return asked
        followed = target_of([(said, moved[first]) for said, first in found])
        return {**asked, "text": changed, "target": followed}

    def named_places(self, row: Mapping[str, Any]) -> frozenset[str]:  # noqa: ARG002 - protocol
        """Return the place of the question."""
        return frozenset({"text_pair"})

    def noisy_end(self, row: Mapping[str, Any], noise: Noise) -> dict[str, Any]:
        """Return the row with another end of its context, behind the last answer."""
        last = max((start + len(text) for text, start in answers(row["target"])), default=0)
        return {**row, "text": end_behind(row["text"], last, noise)}

    def request(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return question and context of an example."""
        return {"question": row["text_pair"], "context": row["text"]}

    def example(self, request: Mapping[str, Any]) -> Content:
        """Return question and context of a request."""
        return Content(request["context"], request["question"], target_of([]))

    def answer(self, predicted: str) -> dict[str, Any]:
        """Return the answer; an empty one says that there is none."""
        return {"answer": json.loads(predicted)}

    def statistics(self, truth: Sequence[str], predicted: Sequence[str]) -> Statistics:
        """Return F1 and exact match of each question.

        ``truth`` are JSON lists of answers, ``predicted`` JSON texts, the empty one for no answer.
        """
        pairs = [(json.loads(t), json.loads(p)) for t, p in zip(truth, predicted, strict=True)]
        scores = np.array([best_scores(t, p) for t, p in pairs]).reshape(-1, 2)
        answerable = np.array([bool(t) for t, _ in pairs], dtype=float)[:, None]
        counts = np.hstack([scores, answerable, answerable * scores])
        mixed = 0 < answerable.sum() < len(pairs)
        kinds = Counter(
            (ANSWER if t else NO_ANSWER, ANSWER if p else NO_ANSWER)
            for t, p in pairs
            if bool(t) != bool(p)
        )
        return Statistics(
            counts=counts,
            correct=scores[:, 0] == 1.0,
            metrics=lambda sums, total: _metrics(sums, total, mixed=mixed),
            confusion=most_frequent(kinds),
            shares=("exact_match",),
            averages=("f1",),
        )


def target_of(found: Sequence[Answer]) -> str:
    """Return answers as an example keeps them."""
    listed = [{"text": text, "start": start} for text, start in found]
    return json.dumps({"answers": listed}, ensure_ascii=False)


def answers(target: str) -> list[Answer]:
    """Return the answers in an example's target."""
    return [(item["text"], item["start"]) for item in json.loads(target)["answers"]]


def _cuts(text: str, found: Sequence[Answer]) -> list[int]:
    """Return where the answers begin and end in a context, and its own ends."""
    ends = [place for said, start in found for place in (start, start + len(said))]
    return sorted({0, *ends, len(text)})


def _answer(item: Mapping[str, Any]) -> Answer:
    text, start = item.get("text"), item.get("start", item.get("answer_start"))
    if (
        not isinstance(text, str)
        or not isinstance(start, int)
        or isinstance(start, bool)
        or start < 0
    ):
        raise NotAValueError("answers", item, "answer")
    return text, start


def _metrics(sums: Array, total: Array, *, mixed: bool) -> dict[str, Array]:
    """Return F1, and where some questions have no answer, both scores of either kind apart."""
    metrics = {"f1": sums[:, 1] / total}
    if not mixed:
        return metrics
    em, f1, n, has_em, has_f1 = sums.T
    undefined = float("nan")
    return {
        **metrics,
        "has_answer_f1": ratio(has_f1, n, undefined),
        "has_answer_exact_match": ratio(has_em, n, undefined),
        # Without an answer both scores say whether none was given.
        "no_answer_f1": ratio(f1 - has_f1, total - n, undefined),
        "no_answer_exact_match": ratio(em - has_em, total - n, undefined),
    }
