"""The part of the report on sureness, shift, churn and behaviour."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.comparison_types import Churn, LabelChurn, PairedComparison
from pipeline_steps.evaluation_types import (
    BehaviourFailure,
    BehaviourResult,
    EvaluationReport,
    MetricValue,
    SliceMetrics,
    SuiteAverage,
)
from pipeline_steps.reporting.charts import risk_chart
from pipeline_steps.reporting.report import render_report
from pipeline_steps.reporting.run_record import RunRecord
from pipeline_steps.reporting.stress_tables import stress_tables
from pipeline_steps.reporting.summary import further_lines, metrics_lines

EVIL = "<script>alert(9)</script>\"'><img src=x onerror=alert(9)>"


def metric(name: str, value: float | None = 0.5) -> MetricValue:
    return MetricValue(name=name, value=value, n=40, ci_low=0.4, ci_high=0.6)


def beside(record: RunRecord, suite: str, kind: str, **fields) -> EvaluationReport:
    same = {"checkpoint_digest": "c", "dataset_digest": "d", "predictions_digest": "p", "n": 40}
    return EvaluationReport(suite=suite, kind=kind, **same, **fields)


@pytest.fixture
def stressed(record: RunRecord) -> RunRecord:
    """Return a record with something to say in every table, hostile where it comes from data."""
    shift, main = record.reports
    temperature = metric("temperature", 1.5)
    scaled = (metric("ece_scaled"), metric("nll_scaled"), metric("brier_scaled"), metric("aurc"))
    main = main.model_copy(update={
        "metrics": (*main.metrics, metric("ece"), *scaled), "temperature": temperature,
        "scaled_reliability": ((0.8, 0.8, 100),), "risk_coverage": ((0.5, 0.0), (1.0, 0.09)),
        "text_slices": main.slices,
    })  # fmt: skip
    shift = shift.model_copy(update={
        "metrics": (*shift.metrics, metric("accuracy_gap", 0.05), metric("aurc", 0.7)),
        "risk_coverage": ((0.5, 0.2), (1.0, 0.4)),
    })  # fmt: skip
    outside = beside(
        record, EVIL, "out_of_scope",
        metrics=tuple(metric(f"{m}_{s}") for s in ("max_softmax", "energy")
                      for m in ("auroc", "aupr_out", "fpr95")),
        headlines=("auroc_max_softmax", "fpr95_max_softmax"),
    )  # fmt: skip
    failure = BehaviourFailure(text=EVIL, original=EVIL, expected=EVIL, got=EVIL)
    test = BehaviourResult(
        name="names", kind="invariance", capability=EVIL, n=4, n_failed=1,
        failure_rate=metric("failure_rate_names", 0.25), failures=(failure,),
    )  # fmt: skip
    behaviour = beside(record, "behaviour", "behaviour", metrics=(metric("failure_rate"),),
                       behaviour=(test,), headlines=("failure_rate",))  # fmt: skip
    calibration = beside(
        record, "calibration", "calibration", temperature=temperature,
        metrics=(temperature, metric("ece", 0.11), metric("ece_scaled", 0.02)),
    )  # fmt: skip
    churn = Churn(
        n=40, churn=metric("churn"), negative_flips=metric("negative_flips"),
        positive_flips=metric("positive_flips"), n_both_right=20, n_both_wrong=5,
        n_both_wrong_differently=2, labels=(LabelChurn(label=EVIL, n=9, n_changed=3, n_lost=1),),
        flips=((EVIL, EVIL, 3),),
    )  # fmt: skip
    compared = PairedComparison(
        suite=main.suite, dataset_digest="d", candidate_digest="c", champion_digest="o", n=40,
        n_only_candidate_correct=1, n_only_champion_correct=2, differences=(), churn=churn,
    )  # fmt: skip
    return record.model_copy(update={
        "reports": (shift, main, outside, calibration, behaviour), "comparisons": (compared,),
    })  # fmt: skip


def test_every_table_is_there(stressed: RunRecord) -> None:
    page = render_report(stressed)
    for said in (
        "Can its sureness be trusted", "with the temperature", "Risk against coverage",
        "Rows out of scope", "What is lost outside the clean rows", "Subpopulations by text",
        "What changes against the champion", "Behavioural tests", "1 of 4 failed",
    ):  # fmt: skip
        assert said in page, said


def test_nothing_from_the_data_becomes_part_of_the_page(stressed: RunRecord) -> None:
    page = render_report(stressed)
    assert "<script>" not in page
    assert "<img" not in page
    assert page.count("&lt;script&gt;alert(9)") >= 10


def test_every_tag_is_closed(stressed: RunRecord) -> None:
    page = render_report(stressed)
    for tag in ("table", "tr", "td", "details", "div", "tbody", "svg", "p"):
        assert len(re.findall(rf"<{tag}[ >]", page)) == page.count(f"</{tag}>"), tag


def test_a_record_of_an_older_version_has_none_of_the_tables(record: RunRecord) -> None:
    tables = stress_tables(record)
    assert tables.gaps == tables.churned == tables.outside == ()
    assert tables.risk == ""
    page = render_report(record)
    for said in ("Rows out of scope", "What changes against", "Behavioural tests", "AURC"):
        assert said not in page


def test_what_counts_no_right_answers_stands_in_no_table_of_suites(stressed: RunRecord) -> None:
    assert [report.kind for report in stressed.suites] == ["shift", "clean"]
    lines = metrics_lines(stressed.reports)
    assert len(lines) == 3
    said = "\n".join(further_lines(stressed.reports))
    assert "temperature on valid: 1.500 [0.400, 0.600]; ece there 0.110, scaled 0.020" in said
    assert "AUROC 0.500 [0.400, 0.600], FPR at 95 % TPR 0.500" in said
    assert "behaviour: 1 of 40 cases failed, in 1 of 1 test" in said


def test_the_second_curve_is_the_suite_with_the_largest_risk(stressed: RunRecord) -> None:
    assert stress_tables(stressed).steepest == "shift"


def test_the_second_curve_is_no_attack(stressed: RunRecord) -> None:
    attack = stressed.reports[0].model_copy(update={"suite": "pruthi", "kind": "adversarial"})
    record = stressed.model_copy(update={"reports": (attack, *stressed.reports[1:])})
    assert stress_tables(record).steepest is None


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
def test_risk_curves_stay_inside_the_frame(points) -> None:
    drawing = risk_chart([points])
    found = re.search(r'<polyline points="([^"]*)"', drawing)
    pairs = [tuple(map(float, pair.split(","))) for pair in found[1].split()]
    assert all(44 <= x <= 284.01 and 9.99 <= y <= 250.01 for x, y in pairs)


def test_no_curve_is_no_drawing() -> None:
    assert risk_chart([]) == ""
    assert risk_chart([()]) == ""


@pytest.mark.parametrize("risk", [0.04, 0.12, 0.33, 1.0])
def test_no_tick_runs_into_the_name_of_the_axis(risk) -> None:
    drawing = risk_chart([((0.5, 0.0), (1.0, risk))])
    ticks = re.findall(r'class="end">([^<]*)<', drawing)
    assert "0.0" in ticks
    assert all(len(tick) <= 4 for tick in ticks)


def test_averages_over_suites_and_groups_stand_beside_the_worst(record) -> None:
    mean, gap = metric("accuracy", 0.7), metric("accuracy_gap", 0.21)
    averages = (
        SuiteAverage(suites=(EVIL, "air"), mean=mean, gap=gap),
        SuiteAverage(
            suites=("one", "two"), mean=metric("accuracy_noise"), gap=metric("accuracy_noise_gap")
        ),
    )
    found = beside(record, "average", "average", metrics=(mean, gap), averages=averages)
    shift, main = record.reports
    low, high = (
        SliceMetrics(column="domain", value=v, n=30, metrics=(metric("accuracy", at),))
        for v, at in ((EVIL, 0.4), ("shop", 0.9))
    )
    main = main.model_copy(update={
        "slices": (high, low), "group_means": (metric("mean_group_accuracy_domain", 0.65),),
    })  # fmt: skip
    gone = metric("accuracy_gap", 0.05)
    shift = shift.model_copy(update={"metrics": (*shift.metrics, gone)})
    grouped = record.model_copy(update={"reports": (main, shift, found)})
    [row] = stress_tables(grouped).grouped
    assert (row.column, row.groups) == ("domain", (low, high))
    page = render_report(grouped)
    assert "different rows" in page
    assert "mean of groups" in page
    assert "<script>" not in page


def test_where_no_temperature_fits_it_is_said_why_and_nothing_scaled_is_shown(
    stressed: RunRecord,
) -> None:
    """The line said "temperature on valid: undefined"."""
    none = MetricValue(name="temperature", value=None, n=40, greater_is_better=False)
    reports = tuple(
        report.model_copy(update={"metrics": (none, metric("ece", 0.11)), "temperature": none})
        if report.kind == "calibration"
        else report
        for report in stressed.reports
    )
    why = "there is none, because every one of 40 rows is right (surer would always be better)"
    said = "\n".join(further_lines(reports))
    assert f"temperature on valid: {why}" in said
    assert "undefined" not in said
    page = render_report(stressed.model_copy(update={"reports": reports}))
    assert f"A temperature for the valid rows: {why}" in page
    assert 'data-label="ECE scaled"' not in page
    assert 'data-label="ECE scaled"' in render_report(stressed)


def test_wide_tables_of_all_suites_scroll_inside_on_a_phone(stressed: RunRecord) -> None:
    """As cards, a value a line, they made a page of 25,000 pixels at a phone's width."""
    page = render_report(stressed)
    wide = re.findall(
        r'<div class="scroll" tabindex="0"><table>(.*?)</table></div>', page, re.DOTALL
    )
    heads = [re.findall(r"<th[^>]*>([^<]*)</th>", table)[-1] for table in wide]
    assert heads == ["ECE", "classwise ECE", "risk at 90 % coverage", "rows unchanged"]
    assert ".scroll { overflow-x: auto; }" in page
