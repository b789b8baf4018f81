"""Translation: a text in one language, the same in another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline_steps.problems.problem import Field
from pipeline_steps.problems.writing import (
    ANSWER_FLAWS,
    CHRF_AND_BLEU,
    WritingProblem,
    references,
)

_MAX_SHARED_WORDS = 3
_MAX_RATIO, _SLACK = 3.0, 20


class Translation(WritingProblem):
    """Rows of a text and its translation, or several."""

    name = "translation"
    scorer = CHRF_AND_BLEU
    outputs = (Field("translation"), Field("score", "double"))
    flaws: Mapping[str, str] = {**ANSWER_FLAWS, "untranslated": "target"}
    remarks: Mapping[str, str] = {"length_ratio_odd": "target"}

    def find_flaws(self, row: Mapping[str, Any]) -> Sequence[str]:
        """Return what is wrong with the translation of an example.

        More than three words that stay as they were are no translation; fewer may be a name.
        """
        found = super().find_flaws(row)
        if found:
            return found
        text = " ".join((row["text"] or "").split())
        same = any(" ".join(t.split()) == text for t in references(row["target"]))
        return ["untranslated"] if same and len(text.split()) > _MAX_SHARED_WORDS else []

    def find_remarks(self, row: Mapping[str, Any]) -> Sequence[str]:
        """Return whether one side is more than three times as long as the other.

        Twenty characters are added to both: short texts differ more.
        """
        if row["target"] is None:
            return []
        n = len(row["text"] or "") + _SLACK
        lengths = [len(text) + _SLACK for text in references(row["target"])]
        odd = any(max(n, m) > _MAX_RATIO * min(n, m) for m in lengths)
        return ["length_ratio_odd"] if odd else []
