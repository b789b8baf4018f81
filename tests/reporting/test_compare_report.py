"""Two versions side by side: every text escaped, every difference named, nothing else needed."""

from __future__ import annotations

import re

from compared_versions import other_version, paired_difference

from pipeline_steps.comparison_types import PairedComparison
from pipeline_steps.reporting.compare_report import (
    ComparedVersion,
    ComparisonRecord,
    render_comparison,
)
from pipeline_steps.reporting.run_record import RunRecord


def versions(record: RunRecord) -> tuple[ComparedVersion, ComparedVersion]:
    first = ComparedVersion(
        version=3, reports=record.reports, decision=record.decision, checkpoint=record.checkpoint,
        history=("champion from 2026-01-01T00:00:00 by a promotion of ada: <b>better</b>",),
    )  # fmt: skip
    return first, other_version(first)


def rendered(
    first: ComparedVersion, second: ComparedVersion, *paired: PairedComparison, name: str = "desk"
) -> str:
    return render_comparison(
        ComparisonRecord(model_name=name, first=first, second=second, paired=paired)
    )


def test_a_comparison_escapes_all_and_needs_nothing_else(record: RunRecord) -> None:
    page = rendered(*versions(record), paired_difference(), name="<i>desk</i>")
    assert "<script>" not in page
    assert "<img" not in page
    assert "<b>better</b>" not in page
    assert "<i>desk</i>" not in page
    assert not re.search(r"(src|href)=\"?(http|//)", page)


def test_a_comparison_names_what_differs_and_only_that(record: RunRecord) -> None:
    page = rendered(*versions(record), paired_difference())
    assert "+0.020" in page  # the difference of the scores
    assert "[-0.010, +0.050]" in page  # and that on the same rows, pair by pair
    assert '<td class="wide">method</td>' in page
    assert '<td class="wide">train digest</td>' not in page
    assert "It never was champion." in page


def test_a_small_p_value_is_not_written_as_none_at_all(record: RunRecord) -> None:
    paired = paired_difference()
    small = tuple(d.model_copy(update={"p_value": 3e-12}) for d in paired.differences)
    page = rendered(*versions(record), paired.model_copy(update={"differences": small}))
    assert "&lt; 0.0001" in page
    assert "0.0000" not in page


def test_versions_that_were_judged_on_other_rows_are_said_to_be(record: RunRecord) -> None:
    first, second = versions(record)
    moved = tuple(r.model_copy(update={"dataset_digest": "other"}) for r in second.reports)
    page = rendered(first, second.model_copy(update={"reports": moved}))
    assert "not the same" in page
    assert "No slice was scored for both on the same rows." in page
    assert "The predictions of both on the same rows are not here" in page


def test_a_version_beside_itself_differs_in_nothing(record: RunRecord) -> None:
    first, _ = versions(record)
    page = rendered(first, first)
    assert page.count("no difference") == 2
