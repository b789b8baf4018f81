"""Expectation suites as code, one a problem: the only module that knows Great Expectations.

Null values pass every other expectation of Great Expectations, so each column that must hold
something has a not-null expectation beside the others.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline_steps.data_params import ValidateParams
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.problems.problem import DemandingProblem, Problem

if TYPE_CHECKING:
    import pandas as pd

# UTF-8 that was read as Latin-1 or Windows-1252: "Ã©" for "é", "â€™" for an apostrophe, "Ð¿Ñ€" for
# Cyrillic. Of the signs that Windows-1252 has for the bytes 80 to 9f, quotation marks and the like
# are left out after a single letter: they may well stand behind a Portuguese or Romanian word.
_SIGNS = (
    "\u20ac\u0192\u2020\u2021\u02c6\u2030\u0160\u0152\u017d\u0161\u0153\u017e\u0178\u2122\u2022"
)
_MARKS = "\u201a\u201e\u2026\u2039\u2018\u2019\u201c\u201d\u2013\u2014\u02dc\u203a"
MOJIBAKE = (
    f"\u00c3[\u0080-\u00bf{_SIGNS}]|\u00e2\u20ac|\u00c2[\u00a0-\u00bf]"
    f"|(?:[\u00d0\u00d1][\u0080-\u00bf{_SIGNS}{_MARKS}]){{2}}"
)
CONTROL = r"[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u0084\u0086-\u009f]"
COLUMN_OF = {
    "id_missing": "example_id",
    "text_missing": "text",
    "label_missing": "label",
    "text_too_short": "text",
    "text_too_long": "text",
    "replacement_characters": "text",
    "encoding_damage": "text",
    "label_unknown": "label",
    "labels_unknown": "target",
}
"""The column of an example that each row-level reason is about, in the order of their weight.

What else a problem expects of a row (``flaws``) weighs less.
"""
NEEDED_LABEL_ABSENT = "needed_label_absent"
_ROW_KEY = "row"


@dataclass(frozen=True)
class Finding:
    """One expectation that some rows did not meet."""

    reason: str
    rows: tuple[int, ...]


@dataclass(frozen=True)
class TableFinding:
    """One expectation that the file as a whole did not meet."""

    reason: str
    observed: float


class ExpectationSuite:
    """The expectations of a problem, ready to judge chunks of rows and the whole."""

    def __init__(self, problem: str, params: ValidateParams) -> None:
        os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
        import great_expectations as gx

        self._problem, self._params = get_problem(problem), params
        self._order = [*COLUMN_OF, *self._problem.flaws]
        self._rows = _row_expectations(self._problem, params)
        self._table = _table_expectations(params, self._problem)
        self._context = gx.get_context(mode="ephemeral")
        variables: Any = self._context.variables
        variables.progress_bars = {"globally": False}
        source = self._context.data_sources.add_pandas("chunks")
        asset = source.add_dataframe_asset("chunk")
        self._batches = asset.add_batch_definition_whole_dataframe("whole")

    def check_rows(self, frame: pd.DataFrame) -> list[Finding]:
        """Return which rows of a chunk fail which expectation, the weightiest first.

        Parameters
        ----------
        frame : DataFrame
            Columns of an examples file, in any order; rows are named by position.
        """
        findings = []
        for reason, result in self._run(self._rows, self._derived(frame)):
            rows = result["result"].get("unexpected_index_list") or []
            if rows:
                findings.append(Finding(reason, tuple(int(row[_ROW_KEY]) for row in rows)))
        return sorted(findings, key=lambda finding: self._order.index(finding.reason))

    def _derived(self, frame: pd.DataFrame) -> pd.DataFrame:
        derived = _with_derived_columns(frame, self._problem)
        allowed = _allowed_in_target(self._problem, self._params)
        if allowed is None:
            return derived
        shown = (
            self._problem.labels_in([label], [target])
            for label, target in zip(frame["label"], frame["target"], strict=True)
        )
        return derived.assign(labels_unknown=[not allowed.issuperset(some) for some in shown])

    def check_table(self, summary: Mapping[str, float]) -> list[TableFinding]:
        """Return which expectations the file as a whole does not meet.

        Parameters
        ----------
        summary : mapping
            One number for each of ``n_rows``, ``n_labels``, ``n_with_needed_label`` and
            ``quarantined_share``.
        """
        import pandas as pd

        frame = pd.DataFrame([dict(summary)]).assign(**{_ROW_KEY: 0})
        return [
            TableFinding(reason, float(summary[result["expectation_config"]["kwargs"]["column"]]))
            for reason, result in self._run(self._table, frame)
            if not result["success"]
        ]

    def _run(
        self, expectations: Mapping[str, Any], frame: pd.DataFrame
    ) -> list[tuple[str, dict[str, Any]]]:
        import great_expectations as gx

        # Results do not come in suite order: each carries its reason in its metadata.
        suite = gx.ExpectationSuite(name="suite", expectations=list(expectations.values()))
        batch = self._batches.get_batch({"dataframe": frame})
        outcome = batch.validate(
            suite,
            result_format={
                "result_format": "COMPLETE",
                "unexpected_index_column_names": [_ROW_KEY],
                "return_unexpected_index_query": False,
            },
        )
        results: list[Any] = [result.to_json_dict() for result in outcome.results]
        return [(r["expectation_config"]["meta"]["reason"], r) for r in results]


def _row_expectations(problem: Problem, params: ValidateParams) -> dict[str, Any]:
    """Return the row-level expectations of a problem, by the reason that they give."""
    from great_expectations import expectations

    gxe: Any = expectations
    reasons = [*problem.flaws]
    if _allowed_in_target(problem, params) is not None:
        reasons.append("labels_unknown")
    flawless = {
        reason: gxe.ExpectColumnValuesToBeInSet(
            column=reason, value_set=[False], meta={"reason": reason}
        )
        for reason in reasons
    }
    labelled = _label_expectations(params) if problem.has_label else {}
    return {**_text_expectations(params), **labelled, **flawless}


def _allowed_in_target(problem: Problem, params: ValidateParams) -> frozenset[str] | None:
    """Return the labels that a target may hold; none, if it may hold any or has no labels."""
    if params.labels is None or problem.has_label or not problem.min_labels:
        return None
    return frozenset(params.labels)


def _label_expectations(params: ValidateParams) -> dict[str, Any]:
    from great_expectations import expectations

    gxe: Any = expectations
    suite = {
        "label_missing": gxe.ExpectColumnValuesToNotBeNull(
            column="label", meta={"reason": "label_missing"}
        )
    }
    if params.labels is not None:
        suite["label_unknown"] = gxe.ExpectColumnValuesToBeInSet(
            column="label", value_set=list(params.labels), meta={"reason": "label_unknown"}
        )
    return suite


def _text_expectations(params: ValidateParams) -> dict[str, Any]:
    from great_expectations import expectations

    gxe: Any = expectations

    low, high = params.min_characters, params.max_characters
    return {
        "id_missing": gxe.ExpectColumnValuesToNotBeNull(
            column="example_id", meta={"reason": "id_missing"}
        ),
        "text_missing": gxe.ExpectColumnValuesToNotBeNull(
            column="text", meta={"reason": "text_missing"}
        ),
        "text_too_short": gxe.ExpectColumnValuesToBeBetween(
            column="n_characters", min_value=low, meta={"reason": "text_too_short"}
        ),
        "text_too_long": gxe.ExpectColumnValuesToBeBetween(
            column="n_characters", max_value=high, meta={"reason": "text_too_long"}
        ),
        "replacement_characters": gxe.ExpectColumnValuesToBeBetween(
            column="replacement_share",
            max_value=params.max_replacement_share,
            meta={"reason": "replacement_characters"},
        ),
        "encoding_damage": gxe.ExpectColumnValuesToNotMatchRegex(
            column="text", regex=f"{MOJIBAKE}|{CONTROL}", meta={"reason": "encoding_damage"}
        ),
    }


def _table_expectations(params: ValidateParams, problem: Problem) -> dict[str, Any]:
    from great_expectations import expectations

    gxe: Any = expectations

    bounds: dict[str, dict[str, Any]] = {
        "too_few_rows": {"column": "n_rows", "min_value": params.min_rows},
        "too_few_labels": {"column": "n_labels", "min_value": problem.min_labels},
        NEEDED_LABEL_ABSENT: {
            "column": "n_with_needed_label",
            "min_value": int(isinstance(problem, DemandingProblem)),
        },
        "too_much_quarantined": {
            "column": "quarantined_share",
            "max_value": params.max_quarantined_share,
        },
    }
    return {
        reason: gxe.ExpectColumnValuesToBeBetween(**bound, meta={"reason": reason})
        for reason, bound in bounds.items()
    }


def _with_derived_columns(frame: pd.DataFrame, problem: Problem) -> pd.DataFrame:
    """Return the chunk with what the expectations look at (lengths, flaws), and row numbers.

    A blank label is none.
    """
    rows: list[dict[str, Any]] = []
    if problem.flaws:
        columns = list(map(str, frame.columns))
        rows = [dict(zip(columns, values, strict=True)) for values in frame.itertuples(index=False)]
    flaws = [set(problem.find_flaws(row)) for row in rows]
    text, label = frame["text"].fillna(""), frame["label"]
    stripped = text.str.strip().str.len()
    damaged = text.str.count("\ufffd")
    return frame.assign(
        label=label.where(label.fillna("").str.strip() != ""),
        n_characters=stripped.where(frame["text"].notna()),
        replacement_share=(damaged / stripped.clip(lower=1)).where(frame["text"].notna()),
        **{reason: [reason in found for found in flaws] for reason in problem.flaws},
        **{_ROW_KEY: range(len(frame))},
    )
