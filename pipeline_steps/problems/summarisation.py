"""Summarisation: a long text, and what it says in short."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline_steps.problems.problem import Field
from pipeline_steps.problems.writing import ANSWER_FLAWS, ROUGE, WritingProblem, references


class Summarisation(WritingProblem):
    """Rows of a document and its summary, or several."""

    name = "summarisation"
    scorer = ROUGE
    outputs = (Field("summary"), Field("score", "double"))
    flaws: Mapping[str, str] = {**ANSWER_FLAWS, "summary_is_document": "target"}
    remarks: Mapping[str, str] = {"summary_not_shorter": "target"}

    def find_flaws(self, row: Mapping[str, Any]) -> Sequence[str]:
        """Return what is wrong with the summary of an example."""
        found = super().find_flaws(row)
        if found:
            return found
        text = (row["text"] or "").strip()
        same = any(summary.strip() == text for summary in references(row["target"]))
        return ["summary_is_document"] if same else []

    def find_remarks(self, row: Mapping[str, Any]) -> Sequence[str]:
        """Return whether a summary is as long as its document."""
        if row["target"] is None:
            return []
        n = len(row["text"] or "")
        return (
            ["summary_not_shorter"] if any(len(s) >= n for s in references(row["target"])) else []
        )
