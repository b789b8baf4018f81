"""Relations: a text with two marked spans, one label for how they are related.

An example's target is ``{"head": [start, end], "tail": [start, end]}``, in characters of its text.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pipeline_steps.fields import as_span, as_text
from pipeline_steps.problems.directed_relations import relation_f1
from pipeline_steps.problems.problem import Content, Field, Noise, end_behind
from pipeline_steps.problems.statistics import Array

Span = tuple[int, int]


class RelationExtraction:
    """Rows of a text with a head and a tail under one label."""

    name = "relation_extraction"
    has_label = True
    min_labels = 2
    target_is_input = True
    keeps_texts_together = False
    flaws: Mapping[str, str] = {
        "target_missing": "target",
        "span_empty": "target",
        "span_outside": "target",
        "spans_identical": "target",
    }
    inputs = (
        Field("text"),
        *(Field(f"{name}_{end}", "long") for name in ("head", "tail") for end in ("start", "end")),
    )
    outputs = (Field("label"), Field("score", "double"))

    def read(self, value: Callable[[str], Any]) -> Content:
        """Return text and spans of a raw row."""
        text = as_text("text", value("text"))
        head = as_span("head_span", value("head_span"))
        tail = as_span("tail_span", value("tail_span"))
        if head is None or tail is None:
            return Content(text)
        return Content(text, target=target_of(head, tail))

    def find_flaws(self, row: Mapping[str, Any]) -> Sequence[str]:
        """Return what is wrong with the spans of an example."""
        if row["target"] is None:
            return ("target_missing",)
        head, tail = spans(row["target"])
        length = len(row["text"] or "")
        checks = {
            "span_empty": any(start >= end for start, end in (head, tail)),
            "span_outside": any(end > length for _, end in (head, tail)),
            "spans_identical": head == tail,
        }
        return [reason for reason, wrong in checks.items() if wrong]

    def labels_in(
        self,
        labels: Iterable[str | None],
        targets: Iterable[str | None],  # noqa: ARG002 - the protocol
    ) -> Iterable[str]:
        """Return the relations of the rows that have one."""
        return (label for label in labels if label is not None)

    def noisy(self, row: Mapping[str, Any], noise: Noise) -> dict[str, Any]:
        """Return the row with noise inside and outside its spans, which follow their words.

        The text is cut where a span begins or ends; what stands in a span is never emptied.
        """
        head, tail = spans(row["target"])
        moved, parts = {0: 0}, []
        for place, (start, end, inside) in enumerate(_segments(row)):
            segment = row["text"][start:end]
            changed = noise(segment, f"segment{place}")
            parts.append(segment if inside and not changed.strip() else changed)
            moved[end] = moved[start] + len(parts[-1])
        target = target_of(*((moved[start], moved[end]) for start, end in (head, tail)))
        return {**row, "text": "".join(parts), "target": target}

    def attackable(self, row: Mapping[str, Any], change: Noise) -> dict[str, Any]:
        """Return the row with words changed inside and outside its spans, which follow them."""
        return self.noisy(row, change)

    def named_places(self, row: Mapping[str, Any]) -> frozenset[str]:
        """Return the places of what stands in a span."""
        segments = enumerate(_segments(row))
        return frozenset(f"segment{place}" for place, (*_, inside) in segments if inside)

    def noisy_end(self, row: Mapping[str, Any], noise: Noise) -> dict[str, Any]:
        """Return the row with another end of its text, behind both spans."""
        last = max(end for _, end in spans(row["target"]))
        return {**row, "text": end_behind(row["text"], last, noise)}

    def request(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return text and spans of an example."""
        head, tail = spans(row["target"])
        return {
            "text": row["text"],
            "head_start": head[0],
            "head_end": head[1],
            "tail_start": tail[0],
            "tail_end": tail[1],
        }

    def example(self, request: Mapping[str, Any]) -> Content:
        """Return text and spans of a request."""
        head, tail = (
            (int(request[f"{name}_start"]), int(request[f"{name}_end"]))
            for name in ("head", "tail")
        )
        return Content(request["text"], target=target_of(head, tail))

    def answer(self, predicted: str) -> dict[str, Any]:
        """Return the relation."""
        return {"label": predicted}

    def label_metrics(
        self, labels: Sequence[str], hits: Array, support: Array, assigned: Array
    ) -> dict[str, Array]:
        """Return the official score of SemEval-2010 Task 8."""
        return {"relation_f1": relation_f1(labels, hits, support, assigned)}


def target_of(head: Span, tail: Span) -> str:
    """Return two spans as an example keeps them."""
    return json.dumps({"head": list(head), "tail": list(tail)})


def spans(target: str) -> tuple[Span, Span]:
    """Return head and tail of an example's target."""
    content = json.loads(target)
    return tuple(content["head"]), tuple(content["tail"])


def _segments(row: Mapping[str, Any]) -> list[tuple[int, int, bool]]:
    """Return the text of a row cut where spans begin and end: from, to, and whether in a span."""
    named = spans(row["target"])
    cuts = sorted({0, *itertools.chain.from_iterable(named), len(row["text"])})
    return [
        (start, end, any(first <= start and end <= last for first, last in named))
        for start, end in itertools.pairwise(cuts)
    ]
