"""Whether a file of examples as a whole may be learnt from, and the report on it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from pipeline_steps.data_params import ValidateParams
from pipeline_steps.data_preparation.expectations import NEEDED_LABEL_ABSENT, ExpectationSuite
from pipeline_steps.data_preparation.meanings import meaning
from pipeline_steps.data_preparation.repeats import DUPLICATE_ROW
from pipeline_steps.data_preparation.selective import SelectiveFinding, selective_values
from pipeline_steps.data_preparation.tally import COUNTED_COLUMNS, Tally, UnreadRows
from pipeline_steps.digests import file_digest
from pipeline_steps.errors import counted
from pipeline_steps.problems.problem import (
    DemandingProblem,
    Problem,
    RemarkingProblem,
    RepairingProblem,
)
from pipeline_steps.types import ExpectationFailure, ValidationReport

_EXAMPLES = 5
_NAMED = 3
Array = np.ndarray[Any, Any]


def report_on(
    path: Path,
    params: ValidateParams,
    tally: Tally,
    warnings: list[ExpectationFailure],
    blocked: list[str],
) -> ValidationReport:
    """Return the report on a file of examples that was judged row by row."""
    return ValidationReport(
        dataset_digest=file_digest(path, "md5"),
        success=not blocked,
        n_rows=tally.n_rows,
        n_kept=tally.n_kept,
        failures=(
            *tally.failures(),
            *warnings,
            *_remarks(tally),
            *_rare_labels(params, tally),
            *_labels_alike(tally),
        ),
        quarantined=dict(sorted(tally.set_aside.items())),
        blocked_because=tuple(blocked),
    )


def warnings_on(
    path: Path, conflicting: Array, unread: UnreadRows, problem: Problem
) -> list[ExpectationFailure]:
    """Return what is odd, but sets no row aside.

    Parameters
    ----------
    path : Path
        The examples that were judged.
    conflicting : array
        (n,) bool: which of them say of a text what another row says otherwise.
    unread : UnreadRows
        What ingest found.
    problem : Problem
        Names what it wrote in another form.
    """
    shown = _ids_at(path, np.flatnonzero(conflicting)[:_EXAMPLES])
    found = [
        ("one_text_several_labels", "label", int(conflicting.sum()), shown),
        (
            "timestamp_unparsed",
            "timestamp",
            unread.n_unparsed_timestamps,
            unread.unparsed_timestamps,
        ),
    ]
    if isinstance(problem, RepairingProblem):
        found.append((problem.repair, "target", unread.n_repaired, unread.repaired))
    return [_warning(name, column, n, tuple(examples)) for name, column, n, examples in found if n]


def _ids_at(path: Path, rows: Array) -> tuple[str, ...]:
    if not len(rows):
        return ()
    ids = pq.read_table(path, columns=["example_id"])["example_id"]
    return tuple(str(ids[int(row)].as_py()) for row in rows)


def _rare_labels(params: ValidateParams, tally: Tally) -> list[ExpectationFailure]:
    kept = tally.kept_labels
    rare = sorted(label for label, n in kept.items() if n < params.min_rows_per_label)
    if not rare:
        return []
    return [_warning("rows_per_label", "label", len(rare), tuple(rare[:_EXAMPLES]))]


def _labels_alike(tally: Tally) -> list[ExpectationFailure]:
    """Return labels that differ in case, blanks, ``_`` and ``-`` alone: one, or really several."""
    alike = defaultdict(list)
    for label in sorted(tally.kept_labels):
        alike[re.sub(r"[\s_-]+", "", label).casefold()].append(label)
    groups = [labels for labels in alike.values() if len(labels) > 1]
    if not groups:
        return []
    examples = tuple(" / ".join(labels) for labels in groups[:_EXAMPLES])
    return [_warning("labels_alike", "label", sum(map(len, groups)), examples)]


def _remarks(tally: Tally) -> list[ExpectationFailure]:
    """Return what the problem finds odd in rows that are kept."""
    columns = tally.problem.remarks if isinstance(tally.problem, RemarkingProblem) else {}
    return [
        _warning(reason, columns[reason], n, tuple(tally.remark_examples[reason]))
        for reason, n in sorted(tally.remarks.items())
    ]


def _warning(name: str, column: str, n: int, examples: tuple[str, ...]) -> ExpectationFailure:
    return ExpectationFailure(
        expectation=name, column=column, count=n, examples=examples, severity="warning"
    )


def blocking_reasons(params: ValidateParams, suite: ExpectationSuite, tally: Tally) -> list[str]:
    """Return why the file as a whole is refused, all reasons at once; none: it is not."""
    labels = sorted(tally.kept_labels)
    share = lost_share(tally)
    n_needed, none_of_it = _needed(tally)
    summary = {
        "n_rows": tally.n_kept,
        "n_labels": len(labels),
        "n_with_needed_label": n_needed,
        "quarantined_share": share,
    }
    words = {
        NEEDED_LABEL_ABSENT: none_of_it,
        "too_few_rows": f"{_left(tally.n_kept, 'row')}; {params.min_rows} are needed (min_rows)",
        "too_few_labels": f"{_left(len(labels), 'label', labels)}; "
        f"{tally.problem.name} needs {tally.problem.min_labels}",
        "too_much_quarantined": f"{share:.1%} of the rows would be set aside; the cap is "
        f"{params.max_quarantined_share:.1%} (max_quarantined_share); that is {tally.n_lost} of "
        f"{counted(tally.n_rows, 'row')}, most often: {_most_frequent(tally)}",
    }
    reasons = [words[finding.reason] for finding in suite.check_table(summary)]
    reasons += _explained(tally) if tally.n_lost and reasons else []
    for name in COUNTED_COLUMNS:
        found = selective_values(
            tally.totals[name],
            tally.lost[name],
            alpha=params.selective_alpha,
            min_excess=params.selective_min_excess,
        )
        needed = 1 if name == "label" else params.selective_min_rows
        weighty = [finding for finding in found if finding.n_rows >= needed]
        reasons += [_selective_reason(name, finding) for finding in weighty[:_EXAMPLES]]
    return reasons


def _needed(tally: Tally) -> tuple[int, str]:
    """Return how often kept rows show what the problem cannot do without, and words for never."""
    problem = tally.problem
    if not isinstance(problem, DemandingProblem):
        return 0, ""
    return tally.kept_labels[problem.needed_label], problem.none_of_it


def _left(n: int, noun: str, names: Sequence[str] = ()) -> str:
    listed = f": {', '.join(names)}" if names else ""
    return f"{counted(n, noun)} {'is' if n == 1 else 'are'} left{listed}"


def lost_share(tally: Tally) -> float:
    """Return the share of rows set aside for more than being a repeat; 1 where there is no row."""
    return tally.n_lost / tally.n_rows if tally.n_rows else 1.0


def _most_frequent(tally: Tally) -> str:
    return ", ".join(f"{reason} ({n})" for reason, n in _costly(tally)) or "none"


def _costly(tally: Tally) -> list[tuple[str, int]]:
    """Return the reasons that cost most rows; a repeat costs none."""
    counts = Counter({r: n for r, n in tally.set_aside.items() if r != DUPLICATE_ROW})
    return counts.most_common(_NAMED)


def _explained(tally: Tally) -> list[str]:
    """Return what the reasons mean that cost most rows, each with the first row that has it."""
    found = []
    for reason, _ in _costly(tally):
        said, rows = meaning(reason), tally.examples.get(reason, ())
        if said is not None:
            found.append(f"{reason}: {said}{f'; look at {rows[0]}' if rows else ''}")
    return found


def _selective_reason(name: str, found: SelectiveFinding) -> str:
    return (
        f"quarantine would take {found.n_quarantined} of {counted(found.n_rows, 'row')} of {name} "
        f"{found.value!r} ({found.share:.1%}, elsewhere {found.share_elsewhere:.1%}, "
        f"Fisher p = {found.p_value:.1g}): what is learnt would be biased "
        "(selective_alpha, selective_min_excess)"
    )
