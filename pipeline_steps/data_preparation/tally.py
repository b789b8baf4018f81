"""What was judged so far: rows before and after quarantine, by value, and what failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline_steps.data_preparation.expectations import COLUMN_OF
from pipeline_steps.data_preparation.repeats import DUPLICATE_ID, DUPLICATE_ROW
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.problems.problem import Problem, RemarkingProblem
from pipeline_steps.types import ExpectationFailure

if TYPE_CHECKING:
    import pandas as pd

COUNTED_COLUMNS = ("label", "domain", "source", "group")
"""Columns none of whose values quarantine may take out selectively."""
_COLUMNS = {**COLUMN_OF, DUPLICATE_ID: "example_id", DUPLICATE_ROW: "text"}
_EXAMPLES = 5


def _counters() -> dict[str, Counter[str]]:
    return {name: Counter() for name in COUNTED_COLUMNS}


@dataclass(frozen=True)
class UnreadRows:
    """What ingest could not make examples of; a bad row is bad wherever it was found."""

    by_reason: Mapping[str, int] = field(default_factory=dict)
    by_value: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    n_unparsed_timestamps: int = 0
    unparsed_timestamps: Sequence[str] = ()
    n_repaired: int = 0
    repaired: Sequence[str] = ()

    @property
    def n_rows(self) -> int:
        """Rows that are no examples."""
        return sum(self.by_reason.values())


NO_UNREAD_ROWS = UnreadRows()


@dataclass
class Tally:
    """Rows before and after quarantine.

    A row that merely repeats another is set aside, but not lost: the first one stays. Lost rows
    are what the cap on the quarantined share and the test for selective quarantine look at.
    ``set_aside`` counts rows by their first reason, those of ingest among them; ``counts`` every
    reason of the rows that were judged here.
    """

    problem: Problem = field(default_factory=lambda: get_problem("text_classification"))
    n_rows: int = 0
    n_kept: int = 0
    n_lost: int = 0
    totals: dict[str, Counter[str]] = field(default_factory=_counters)
    lost: dict[str, Counter[str]] = field(default_factory=_counters)
    kept_labels: Counter[str] = field(default_factory=Counter)
    set_aside: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    remarks: Counter[str] = field(default_factory=Counter)
    remark_examples: dict[str, list[str]] = field(default_factory=dict)

    def add_unread(self, unread: UnreadRows) -> None:
        """Count rows that were set aside before."""
        self.n_rows += unread.n_rows
        self.n_lost += unread.n_rows
        self.set_aside.update(unread.by_reason)
        for name, counts in unread.by_value.items():
            self.totals[name].update(counts)
            self.lost[name].update(counts)

    def add_chunk(self, frame: pd.DataFrame, reasons: Mapping[int, Sequence[str]]) -> None:
        """Count a chunk of rows, of which those in ``reasons`` (by position) are set aside."""
        bad = sorted(reasons)
        lost = [position for position in bad if _is_loss(reasons[position])]
        self.n_rows += len(frame)
        self.n_kept += len(frame) - len(bad)
        self.n_lost += len(lost)
        self.set_aside.update(reasons[position][0] for position in bad)
        kept = frame.drop(frame.index[bad])
        self.kept_labels.update(self.problem.labels_in(kept["label"], kept["target"]))
        self._add_remarks(kept)
        for name in COUNTED_COLUMNS:
            self.totals[name].update(frame[name].dropna().tolist())
            self.lost[name].update(frame[name].iloc[lost].dropna().tolist())
        for example_id, position in zip(frame["example_id"].iloc[bad], bad, strict=True):
            self._count(str(example_id), reasons[position])

    def failures(self) -> list[ExpectationFailure]:
        """Return each reason with its count and a few examples."""
        return [
            ExpectationFailure(
                expectation=reason,
                column={**_COLUMNS, **self.problem.flaws}[reason],
                count=count,
                examples=tuple(self.examples[reason]),
            )
            for reason, count in sorted(self.counts.items())
        ]

    def _add_remarks(self, kept: pd.DataFrame) -> None:
        """Count what is odd in rows that are kept."""
        if not isinstance(self.problem, RemarkingProblem):
            return
        columns = kept[["example_id", "text", "text_pair", "target"]]
        for row in columns.to_dict(orient="records"):
            for reason in self.problem.find_remarks({str(k): v for k, v in row.items()}):
                self.remarks[reason] += 1
                examples = self.remark_examples.setdefault(reason, [])
                if len(examples) < _EXAMPLES:
                    examples.append(str(row["example_id"]))

    def _count(self, example_id: str, reasons: Iterable[str]) -> None:
        for reason in reasons:
            self.counts[reason] += 1
            examples = self.examples.setdefault(reason, [])
            if len(examples) < _EXAMPLES:
                examples.append(example_id)


def _is_loss(reasons: Sequence[str]) -> bool:
    return DUPLICATE_ROW not in reasons or any(
        r not in (DUPLICATE_ID, DUPLICATE_ROW) for r in reasons
    )
