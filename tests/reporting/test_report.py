"""The report is one safe file: verdict first, data escaped, nothing fetched."""

from __future__ import annotations

import re

import pytest
from html_reader import read

from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.gate_types import Verdict
from pipeline_steps.reporting.energy import Energy
from pipeline_steps.reporting.model_card import CardFacts, render_card
from pipeline_steps.reporting.report import render_report
from pipeline_steps.reporting.run_record import (
    RunRecord,
    check_cells,
    class_totals,
    parameter_rows,
    provenance_facts,
)


def test_text_from_the_data_cannot_become_part_of_the_page(record) -> None:
    """Every name, label, reason and parameter of this record tries to."""
    page = read(render_report(record))
    assert not page.tags & {"script", "img", "iframe", "object", "link", "form"}
    assert not {name for name in page.attributes if name.startswith("on")}
    assert page.text.count("<script>alert(1)</script>") >= 20


def test_every_tag_is_closed_in_order(record) -> None:
    assert read(render_report(record)).open == []


def test_the_page_fetches_nothing_and_forbids_it(record) -> None:
    reader = read(page := render_report(record))
    assert not reader.attributes & {"src", "href", "srcset", "action", "background"}
    assert not re.search(r"url\(|@import", page)
    assert "default-src 'none'" in page


def test_the_verdict_and_its_reasons_stand_before_the_numbers(record) -> None:
    page = render_report(record)
    first = page.index("How good it is on each suite")
    assert page.index("<strong>HOLD</strong>") < page.index("no gain") < first


@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_verdict_is_explained(record, verdict) -> None:
    decision = record.decision.model_copy(update={"verdict": verdict})
    page = render_report(record.model_copy(update={"decision": decision}))
    assert f'<div class="verdict {verdict}">' in page


def test_details_are_those_of_the_clean_suite_wherever_it_stands(record) -> None:
    assert record.reports[0].kind == "shift"
    assert record.main.kind == "clean"


def test_an_undefined_metric_is_called_undefined(record) -> None:
    assert "undefined" in render_report(record)


def test_the_gate_table_shows_what_was_compared(record) -> None:
    floor, difference = (check_cells(check) for check in record.decision.checks)
    assert floor == {
        "candidate": "0.910", "champion": "", "difference": "", "interval": "[0.860, 0.960]",
        "bound": "0.500",
    }  # fmt: skip
    assert difference == {
        "candidate": "0.910", "champion": "0.880", "difference": "+0.030",
        "interval": "[-0.010, +0.070]", "bound": "0.030",
    }  # fmt: skip


def test_passed_checks_of_slices_are_folded_behind_all_others(record) -> None:
    """They are dozens on a real set; one that failed stands with the rest."""
    floor = record.decision.checks[0]
    named = {"test/accuracy where domain is app": True, "test/accuracy where domain is chat": False}
    checks = [floor.model_copy(update={"name": n, "passed": ok}) for n, ok in named.items()]
    several = (*checks, *record.decision.checks)
    decision = record.decision.model_copy(update={"checks": several})
    page = render_report(record.model_copy(update={"decision": decision}))
    before, after = page.split("Checks of single slices that passed: 1")
    assert "where domain is chat" in before
    assert "where domain is app" not in before
    assert "where domain is app" in after
    assert read(page).open == []
    assert "single slices that passed" not in render_report(record)


def test_averages_over_classes_are_macro_and_weighted_by_support(record) -> None:
    macro, weighted = class_totals(record.main)
    assert macro == ("macro average, all", 0.75, 0.75, pytest.approx(0.66), 16)
    assert weighted[1:3] == (pytest.approx(0.625), pytest.approx(0.875))


def test_provenance_leaves_out_what_is_unknown(record) -> None:
    facts = dict(provenance_facts(record))
    assert facts["trained"] == "2,000 of 10,000 weights"
    assert "git commit" not in facts
    assert "steps" not in facts


def test_parameters_are_written_as_in_params_yaml() -> None:
    parameters = {"tuning": {"kind": "lora", "targets": ["query"]}, "rate": None, "floors": {}}
    assert dict(parameter_rows(parameters)) == {
        "tuning.kind": "lora",
        "tuning.targets": '["query"]',
        "rate": "null",
        "floors": "{}",
    }


def test_a_bare_record_still_makes_a_page(record) -> None:
    """No metrics, classes, slices, curve or findings: all may be absent."""
    bare = EvaluationReport(
        checkpoint_digest="c", dataset_digest="d", predictions_digest="p", suite="test",
        kind="clean", n=1, metrics=(),
    )  # fmt: skip
    checkpoint = record.checkpoint.model_copy(update={"training": {}, "parameters": {}})
    found = record.validation.model_copy(update={"failures": (), "quarantined": {}})
    updates = {"reports": (bare,), "checkpoint": checkpoint, "validation": found}
    page = render_report(record.model_copy(update=updates))
    assert read(page).open == []


def test_the_same_record_makes_the_same_page(record) -> None:
    assert render_report(record) == render_report(record)


def test_the_page_shows_the_metrics_of_the_problem(record) -> None:
    def renamed(metrics):
        names = ("entity_f1", "sentence_accuracy")
        return tuple(m.model_copy(update={"name": n}) for m, n in zip(metrics, names, strict=True))

    reports = []
    for report in record.reports:
        worst = report.worst_slice
        if worst is not None:
            worst = worst.model_copy(update={"metrics": renamed(worst.metrics)})
        changes = {
            "headlines": ("entity_f1", "macro_f1"),
            "metrics": renamed(report.metrics),
            "tags": report.classes,
            "slices": () if worst is None else (worst,),
            "worst_slice": worst,
        }
        reports.append(report.model_copy(update=changes))
    history = [{"step": step, "entity_f1": 0.1 * step, "loss": 1.0} for step in (1, 2)]
    checkpoint = record.checkpoint.model_copy(update={"training": {"history": history}})
    page = render_report(
        record.model_copy(update={"reports": tuple(reports), "checkpoint": checkpoint})
    )
    text = read(page).text
    for words in (
        "entity F1", "sentence accuracy", "validation entity F1, by step", "Tag by tag",
        "the lowest entity F1",
    ):  # fmt: skip
        assert words in text
    assert "ECE undefined" in text


def test_a_card_is_markdown_whose_numbers_have_intervals(record: RunRecord) -> None:
    facts = CardFacts(
        licence="Apache-2.0", intended_use=None, cost={"cpu_seconds": 12.5}, dvc_lock=None,
        energy=Energy(joules=3.6e5, cpu_seconds=12.5),
        environment_digest="e", data_digests={"train": "t"}, git_commit="c0ffee",
    )  # fmt: skip
    card = render_card(record, facts)
    assert "0.910 [0.860, 0.960]" in card
    assert "* Intended use: not stated (`register.intended_use`)" in card
    assert "* Licence: Apache-2.0" in card
    assert "| cpu seconds | 12.5 |" in card
    assert "* Energy: 0.1 kWh, measured (RAPL" in card
    assert "* not measured: texts whose right answer is none of its labels" in card
    assert "git checkout c0ffee\ndvc pull\nholdfast reproduce 3" in card


def test_a_card_does_not_guess_a_cost(record: RunRecord) -> None:
    facts = CardFacts(
        licence=None, intended_use=None, cost={}, energy=None, dvc_lock=None, environment_digest="e",
        data_digests={}, git_commit=None,
    )  # fmt: skip
    assert "The cost of the training was not measured" in render_card(record, facts)
