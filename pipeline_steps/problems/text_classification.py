"""Text classification: one or two texts, one label."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pipeline_steps.fields import as_text
from pipeline_steps.problems.problem import Content, Field, Noise


class TextClassification:
    """Rows of one or two texts under one label."""

    name = "text_classification"
    has_label = True
    min_labels = 2
    target_is_input = False
    keeps_texts_together = False
    flaws: Mapping[str, str] = {}
    inputs = (Field("text"), Field("text_pair", required=False))
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

    def noisy(self, row: Mapping[str, Any], noise: Noise) -> dict[str, Any]:
        """Return the row with noise in both texts."""
        texts = {name: row[name] for name in ("text", "text_pair") if row[name] is not None}
        return {**row, **{name: noise(text, name) for name, text in texts.items()}}

    def request(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the texts of an example."""
        texts = {"text": row["text"], "text_pair": row["text_pair"]}
        return {name: text for name, text in texts.items() if text is not None}

    def example(self, request: Mapping[str, Any]) -> Content:
        """Return the texts of a request."""
        return Content(request["text"], request.get("text_pair"))

    def answer(self, predicted: str) -> dict[str, Any]:
        """Return the label."""
        return {"label": predicted}
