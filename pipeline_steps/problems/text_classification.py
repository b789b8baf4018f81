"""Text classification: one or two texts, one label."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pipeline_steps.fields import as_text
from pipeline_steps.problems.problem import Content, Field
from pipeline_steps.problems.statistics import Array
from pipeline_steps.problems.texts import ReadsTexts


class TextClassification(ReadsTexts):
    """Rows of one or two texts under one label."""

    name = "text_classification"
    has_label = True
    min_labels = 2
    target_is_input = False
    keeps_texts_together = False
    flaws: Mapping[str, str] = {}
    outputs = (Field("label"), Field("score", "double"))

    def read(self, value: Callable[[str], Any]) -> Content:
        """Return the one or two texts of a raw row."""
        return Content(as_text("text", value("text")), as_text("text_pair", value("text_pair")))

    def find_flaws(self, row: Mapping[str, Any]) -> Sequence[str]:  # noqa: ARG002 - the protocol
        """Return nothing: the expectations that every problem has are all there are."""
        return ()

    def labels_in(
        self,
        labels: Iterable[str | None],
        targets: Iterable[str | None],  # noqa: ARG002 - the protocol
    ) -> Iterable[str]:
        """Return the labels of the rows that have one."""
        return (label for label in labels if label is not None)

    def answer(self, predicted: str) -> dict[str, Any]:
        """Return the label."""
        return {"label": predicted}

    def label_metrics(
        self,
        labels: Sequence[str],  # noqa: ARG002 - the protocol
        hits: Array,  # noqa: ARG002
        support: Array,  # noqa: ARG002
        assigned: Array,  # noqa: ARG002
    ) -> dict[str, Array]:
        """Return nothing: every metric of labels is one of classification."""
        return {}
