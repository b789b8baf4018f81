"""The report of a model that was not trained here: attacked texts have their edits marked."""

from __future__ import annotations

from attacked_records import COST, rows
from html_reader import read

from pipeline_steps.evaluation.attacks.results_file import AboutAttack
from pipeline_steps.evaluation.attacks.summary import summarise_all
from pipeline_steps.evaluation_types import EvaluationReport, MetricValue
from pipeline_steps.judging_params import EvaluateParams
from pipeline_steps.reporting.model_report import ModelRecord, render_model_report

EVIL = "<script>alert(1)</script>"


def report(suite: str, kind: str) -> EvaluationReport:
    accuracy = MetricValue(name="accuracy", value=0.9, n=60, ci_low=0.8, ci_high=0.95)
    return EvaluationReport(
        checkpoint_digest="c", dataset_digest="d", predictions_digest="p", suite=suite, kind=kind,
        n=60, metrics=(accuracy, accuracy.model_copy(update={"name": "macro_f1"})),
    )  # fmt: skip


def test_texts_that_broke_are_shown_with_what_was_changed_and_nothing_of_them_is_run() -> None:
    results = rows("deepwordbug", 0.5, truth=EVIL)
    first = next(place for place, row in enumerate(results) if row.status == "broken")
    update = {"original": f"a {EVIL}", "perturbed": f"b {EVIL}", "n_changed": 0}
    calm = rows("typos_proof", 0.1)
    results[first] = results[first].model_copy(update=update)
    runs = {
        "deepwordbug": (results, AboutAttack(cost=COST)),
        "typos_proof": (calm, AboutAttack(cost=COST)),
    }
    record = ModelRecord(
        name="m", facts={}, sources={}, reports=(report("test", "clean"),),
        attacks=(report("deepwordbug", "adversarial"), report("typos_proof", "adversarial")),
        under_attack=summarise_all(runs, EvaluateParams(bootstrap_resamples=50)),
    )  # fmt: skip
    page = render_model_report(record)
    assert "Of all attacks together" in page
    assert "What a budget buys" in page
    assert "<del>charming</del><ins>chraming</ins>" in page
    assert "<del>a</del><ins>b</ins>" in page
    assert EVIL not in page
    assert read(page).open == []
