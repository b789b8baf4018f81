"""Curves by severity and the plot of the worst groups: what is drawn, where, and beside what."""

from __future__ import annotations

import re

import pytest
from attacked_records import under_attack
from compared_versions import other_version
from html_reader import read
from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.comparison_types import PairedComparison, PairedDifference
from pipeline_steps.evaluation_types import EvaluationReport, MetricValue, SliceMetrics
from pipeline_steps.reporting.compare_report import (
    ComparedVersion,
    ComparisonRecord,
    render_comparison,
)
from pipeline_steps.reporting.report import render_report
from pipeline_steps.reporting.run_record import RunRecord
from pipeline_steps.reporting.severities import (
    SeverityCurve,
    lowest_of_curves,
    severity_chart,
    severity_curves,
)
from pipeline_steps.worst_groups import worst_groups

EVIL = "<script>alert(1)</script>"
FRAME = (38.0, 8.0, 288.0, 164.0)


def measured(value: float | None, name: str = "accuracy", n: int = 40) -> MetricValue:
    low, high = (None, None) if value is None else (max(value - 0.05, 0), min(value + 0.05, 1))
    return MetricValue(name=name, value=value, n=n, ci_low=low, ci_high=high)


def suite(name: str, value: float | None, kind: str = "noise", **fields) -> EvaluationReport:
    return EvaluationReport(
        checkpoint_digest="c", dataset_digest="d", predictions_digest="p", suite=name, kind=kind,
        n=40, metrics=(measured(value), measured(value, "macro_f1")), **fields,
    )  # fmt: skip


NOISY = (
    suite("test", 0.9, "clean"), suite("heard_5", 0.5), suite("heard_1", 0.8), suite("ocr_2", 0.7),
    suite("ocr_4", None), suite("typos", 0.6), suite("shift_1", 0.2, "shift"),
    suite("shift_2", 0.1, "shift"),
)  # fmt: skip


def test_a_noise_at_two_severities_is_a_curve_that_begins_at_the_clean_rows() -> None:
    [curve] = severity_curves(NOISY, "accuracy")
    assert curve.noise == "heard"
    assert {level: m.value for level, m in curve.points.items()} == {0: 0.9, 1: 0.8, 5: 0.5}
    assert list(curve.points) == [0, 1, 5]
    assert curve.other == {}


def test_another_version_is_drawn_beside_it_by_its_reports_or_by_its_values() -> None:
    others = [suite("test", 0.95, "clean"), suite("heard_1", 0.9), suite("ocr_2", 0.6),
              suite("ocr_4", 0.3)]  # fmt: skip
    heard, ocr = severity_curves(NOISY, "accuracy", others)
    assert {level: m.value for level, m in heard.other.items()} == {0: 0.95, 1: 0.9}
    assert {level: m.value for level, m in ocr.points.items()} == {0: 0.9, 2: 0.7}
    assert {level: m.value for level, m in ocr.other.items()} == {0: 0.95, 2: 0.6, 4: 0.3}
    told = {"heard_1": 0.7, "heard_5": None, "elsewhere": 0.1}
    [curve] = severity_curves(NOISY, "accuracy", other_values=told)
    assert {level: (m.value, m.ci_low) for level, m in curve.other.items()} == {1: (0.7, None)}


values = st.floats(0, 1)


@given(st.dictionaries(st.integers(0, 5), values, min_size=1), st.lists(values, max_size=3))
def test_lines_whiskers_and_dots_stay_inside_the_frame(points, others) -> None:
    curve = SeverityCurve("a", {level: measured(v) for level, v in sorted(points.items())},
                          {level: measured(v) for level, v in enumerate(others)})  # fmt: skip
    drawing = severity_chart(curve, lowest_of_curves([curve]))
    left, top, right, bottom = FRAME
    spots = [tuple(map(float, pair.split(","))) for line in re.findall(r'points="([^"]*)"', drawing)
             for pair in line.split()]  # fmt: skip
    spots += [tuple(map(float, found)) for found in re.findall(r'cx="(.*?)" cy="(.*?)"', drawing)]
    for x, y, to in re.findall(r'd="M([\d.]+) ([\d.]+)V([\d.]+)"', drawing):
        spots += [(float(x), float(y)), (float(x), float(to))]
    assert all(left <= x <= right and top <= y <= bottom for x, y in spots)
    assert drawing.count("<circle") == len(points) + len(others)


def test_more_is_higher_and_stronger_is_further_right() -> None:
    drawing = severity_chart(SeverityCurve("a", {0: measured(0.9), 3: measured(0.5)}), 0.0)
    [line] = re.findall(r'points="([^"]*)"', drawing)
    (x1, y1), (x2, y2) = (map(float, pair.split(",")) for pair in line.split())
    assert x1 < x2
    assert y1 < y2
    assert "<title>0.500 [0.450, 0.550]</title>" in drawing


def test_the_report_draws_curves_beside_the_champion_and_says_so(record: RunRecord) -> None:
    page = render_report(record.model_copy(update={"reports": NOISY}))
    assert "By severity of the noise: accuracy" in page
    assert 'the champion</b></p><div class="curves">' not in page
    compared = PairedComparison(
        suite="heard_5", dataset_digest="d", candidate_digest="c", champion_digest="o", n=40,
        n_only_candidate_correct=1, n_only_champion_correct=2,
        differences=(
            PairedDifference(name="accuracy", candidate=0.5, champion=0.4, difference=0.1,
                             ci_low=0.0, ci_high=0.2, p_value=0.1, n=40),
        ),
    )  # fmt: skip
    page = render_report(record.model_copy(update={"reports": NOISY, "comparisons": (compared,)}))
    assert 'the champion</b></p><div class="curves">' in page
    assert read(page).open == []


def test_a_report_without_severities_has_no_such_part(record: RunRecord) -> None:
    assert "By severity" not in render_report(record)


def group(column: str, value: str, score: float | None, n: int = 30) -> SliceMetrics:
    return SliceMetrics(column=column, value=value, n=n, metrics=(measured(score, n=n),))


GROUPED = (
    suite("test", 0.9, "clean", slices=(group("domain", "mail", 0.9), group("domain", EVIL, 0.7))),
    suite("typos", 0.8, slices=(group("domain", "mail", 0.6), group("domain", "web", None)),
          text_slices=(group("length", "long", 0.7, n=50),)),
    suite("pruthi", 0.1, "adversarial", slices=(group("domain", "mail", 0.0),)),
)  # fmt: skip


def test_each_group_is_told_once_where_it_is_served_worst() -> None:
    told = [(g.suite, g.part.value, g.part.metrics[0].value) for g in worst_groups(GROUPED, 9)]
    assert told == [("typos", "mail", 0.6), ("typos", "long", 0.7), ("test", EVIL, 0.7)]
    assert [g.part.value for g in worst_groups(GROUPED, 1)] == ["mail"]


def test_worst_groups_are_drawn_beside_all_rows_of_their_suite(record: RunRecord) -> None:
    page = render_report(record.model_copy(update={"reports": GROUPED}))
    part = page.partition("Groups that are served worst")[2].partition("</h2>")[2]
    part = part.partition("<h2>")[0]
    assert part.count('class="champion"') == part.count("<svg") == 3
    assert "<small" not in part
    assert "typos, 50 rows" in part
    assert EVIL not in page
    assert "Groups that are served worst" not in render_report(
        record.model_copy(update={"reports": (suite("test", 0.9, "clean"),)})
    )


def versions(record: RunRecord, **fields) -> tuple[ComparedVersion, ComparedVersion]:
    first = ComparedVersion(version=3, reports=NOISY, decision=record.decision,
                            checkpoint=record.checkpoint, **fields)  # fmt: skip
    return first, other_version(first)


def beside(first: ComparedVersion, second: ComparedVersion) -> str:
    return render_comparison(ComparisonRecord(model_name="desk", first=first, second=second))


def test_two_versions_are_drawn_in_one_curve(record: RunRecord) -> None:
    page = beside(*versions(record))
    part = page.partition("By severity of the noise")[2].partition("</svg>")[0]
    assert part.count('class="line"') == part.count('class="line second"') == 1
    assert read(page).open == []


def test_texts_that_attacks_broke_have_their_edits_marked_for_both_versions(record) -> None:
    page = beside(*versions(record, under_attack=under_attack(truth=EVIL)))
    assert page.count("<del>charming</del><ins>chraming</ins>") >= 2
    assert page.count("<h3>version 3: ") == page.count("<h3>version 4: ") >= 1
    assert EVIL not in page
    assert read(page).open == []
    alone, other = versions(record)
    attacked = alone.model_copy(update={"under_attack": under_attack()})
    assert "<h3>version 4" not in beside(attacked, other)


@pytest.mark.parametrize("said", ["By severity of the noise", "Texts that attacks broke"])
def test_a_pair_without_them_has_no_such_part(record: RunRecord, said: str) -> None:
    first, _ = versions(record)
    plain = first.model_copy(update={"reports": NOISY[:1]})
    assert said not in beside(plain, other_version(plain))
