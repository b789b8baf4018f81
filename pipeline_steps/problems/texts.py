"""What problems have in common whose rows are one or two texts, read as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline_steps.problems.problem import Content, Field, Noise


class ReadsTexts:
    """Rows of one or two texts."""

    inputs: tuple[Field, ...] = (Field("text"), Field("text_pair", required=False))

    def noisy(self, row: Mapping[str, Any], noise: Noise) -> dict[str, Any]:
        """Return the row with noise in both texts."""
        texts = {name: row[name] for name in ("text", "text_pair") if row[name] is not None}
        return {**row, **{name: noise(text, name) for name, text in texts.items()}}

    def noisy_end(self, row: Mapping[str, Any], noise: Noise) -> dict[str, Any]:
        """Return the row with another end of its first text; a second one stays."""
        return {**row, "text": noise(row["text"], "text")}

    def request(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the texts of an example."""
        texts = {"text": row["text"], "text_pair": row["text_pair"]}
        return {name: text for name, text in texts.items() if text is not None}

    def example(self, request: Mapping[str, Any]) -> Content:
        """Return the texts of a request."""
        return Content(request["text"], request.get("text_pair"))
