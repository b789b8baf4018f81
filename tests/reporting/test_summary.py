"""The terminal summary: verdict, reasons, numbers with intervals."""

from __future__ import annotations

from pipeline_steps.reporting.summary import metrics_lines, summary


def test_the_summary_says_verdict_reasons_and_intervals(record) -> None:
    text = summary(record.reports, record.decision)
    assert text.startswith("Verdict: HOLD\n  - no gain")
    assert "0.910 [0.860, 0.960]" in text
    assert "worst slice of" in text


def test_the_columns_of_all_suites_stand_below_each_other(record) -> None:
    header, *lines = metrics_lines(record.reports)
    start = header.index("accuracy")
    assert all(line[start:].startswith("0.910 [") for line in lines)


def test_an_undefined_metric_is_called_undefined(record) -> None:
    assert "undefined" in metrics_lines(record.reports)[1]
