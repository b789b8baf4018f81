"""All suites of a checkpoint together: temperature, gaps, subpopulations, out of scope."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline_steps.errors import DataError
from pipeline_steps.evaluation.evaluate import evaluate
from pipeline_steps.evaluation.intervals import tango_interval
from pipeline_steps.evaluation.stress.shift import newcombe_interval
from pipeline_steps.evaluation.stress.suites import Texts, evaluate_all
from pipeline_steps.evaluation.stress.text_slices import TextProfile
from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.judging_params import EvaluateParams
from pipeline_steps.predictions_file import write_predictions
from pipeline_steps.reporting.summary import unchanged_lines

PARAMS = EvaluateParams(bootstrap_resamples=100, min_slice_rows=5)
TRUTH = [i % 3 for i in range(60)]


def answers(wrong: int) -> list[int]:
    return [(t + (i % 10 < wrong)) % 3 for i, t in enumerate(TRUTH)]


@pytest.fixture
def judged(save):
    return [save(TRUTH, answers(1)), save(TRUTH, answers(3), suite="typos", kind="noise")]


@pytest.fixture
def valid(save):
    return save(TRUTH, answers(2), suite="valid")


def test_every_metric_of_a_plain_report_is_still_there_with_its_value(judged, valid) -> None:
    for predictions, report in zip(judged, evaluate_all(judged, PARAMS, valid=valid), strict=False):
        plain = evaluate(predictions, PARAMS)
        assert report.metrics[: len(plain.metrics)] == plain.metrics
        assert report.headlines == plain.headlines


def test_each_suite_says_what_abstaining_and_a_temperature_would_bring(judged, valid) -> None:
    *reports, calibration = evaluate_all(judged, PARAMS, valid=valid)
    assert [report.suite for report in reports] == ["test", "typos"]
    for report in reports:
        names = {metric.name for metric in report.metrics}
        assert names >= {
            "adaptive_ece", "classwise_ece", "aurc", "e_aurc", "coverage_at_5_error",
            "ece_scaled", "nll_scaled", "brier_scaled",
        }  # fmt: skip
        assert report.temperature == calibration.temperature
        assert report.risk_coverage[-1] == (1.0, pytest.approx(1 - report.metrics[0].value))
        assert report.scaled_reliability
    assert (calibration.kind, calibration.n) == ("calibration", 60)
    before, after = (calibration.metric(name).value for name in ("nll", "nll_scaled"))
    assert after <= before


def test_only_suites_beside_the_clean_one_lose_something(judged) -> None:
    clean, typos = evaluate_all(judged, PARAMS)
    assert clean.metric("accuracy_gap") is None
    assert typos.metric("accuracy_gap").value == pytest.approx(0.2)
    assert typos.metric("accuracy_gap").ci_low > 0.0


@pytest.mark.parametrize("made", ["noise", "rewritten"])
def test_rows_of_another_kind_are_no_sisters_though_they_are_numbered_alike(save, made) -> None:
    """Only the suite that was made of the clean set has its rows, a third of each is wrong."""
    clean, part = save(TRUTH, answers(3)), (TRUTH[:30], answers(6)[:30])
    noise = save(*part, suite="typos", kind=made)
    shift = save(*part, suite="air", kind="shift")
    found = [
        report.metric("accuracy_gap") for report in evaluate_all([clean, noise, shift], PARAMS)
    ]
    assert (found[1].ci_low, found[1].ci_high) == tango_interval(9, 0, 30, 0.95)
    assert (found[2].ci_low, found[2].ci_high) == newcombe_interval((42, 60), (12, 30), 0.95)


def test_no_loss_at_all_is_as_uncertain_as_the_rows_are_few(save) -> None:
    """Every resample of the same answers says 0, which is no proof that nothing is ever lost."""
    made = [save(TRUTH, answers(3)), save(TRUTH, answers(3), suite="other", kind="rewritten")]
    _, other = evaluate_all(made, PARAMS)
    gap = other.metric("macro_f1_gap")
    assert (gap.value, gap.ci_low, gap.ci_high) == (0.0, *tango_interval(0, 0, 60, 0.95))
    assert gap.ci_low < 0.0 < gap.ci_high


def test_no_mistake_on_other_rows_is_as_uncertain_as_these_are_few(save) -> None:
    made = [save(TRUTH, TRUTH), save(TRUTH[:30], TRUTH[:30], suite="air", kind="shift")]
    _, air = evaluate_all(made, PARAMS)
    gap = air.metric("macro_f1_gap")
    assert (gap.value, gap.ci_low, gap.ci_high) == (
        0.0,
        *newcombe_interval((60, 60), (30, 30), 0.95),
    )
    assert gap.ci_low < 0.0 < gap.ci_high


def test_a_suite_that_noise_left_as_it_was_says_so_beside_its_gap(judged) -> None:
    clean, typos = evaluate_all(judged, PARAMS, unchanged={"typos": 45})
    assert (clean.n_unchanged, typos.n_unchanged) == (None, 45)
    (said,) = unchanged_lines([clean, typos])
    assert said.startswith("typos: 45 of 60 rows are as they were without the noise")
    rewritten = typos.model_copy(update={"kind": "rewritten"})
    (said,) = unchanged_lines([clean, rewritten])
    assert said.startswith("typos: 45 of 60 rows are as they were in the test set")
    few = evaluate_all(judged, PARAMS, unchanged={"typos": 29})
    assert unchanged_lines(few) == []


def test_subpopulations_find_the_text_of_their_row_whatever_the_order(save) -> None:
    """Questions are answered wrong; the file is written backwards."""
    predicted = [(t + (i % 2)) % 3 for i, t in enumerate(TRUTH)]
    predictions = save(TRUTH, predicted, order=list(range(59, -1, -1)))
    texts = {f"r{i}": "why?" if i % 2 else "so" for i in range(60)}
    known = Texts(TextProfile(frozenset({"so"}), 1.0, 2.0), {"test": texts})
    report = evaluate_all([predictions], PARAMS, texts=known)[0]
    found = {(p.column, p.value): p.metrics[0].value for p in report.text_slices}
    assert found == {
        ("rare_words", "none"): 1.0, ("rare_words", "many"): 0.0,
        ("question", "no"): 1.0, ("question", "yes"): 0.0,
    }  # fmt: skip


def test_a_suite_out_of_scope_has_no_accuracy(save, judged) -> None:
    clean, _, foreign = evaluate_all([*judged, foreign_suite(save, known=3)], PARAMS)
    assert foreign.kind == "out_of_scope"
    assert foreign.metric("accuracy") is None
    assert foreign.metric("auroc_max_softmax").n == foreign.n == 20
    assert foreign.headline == "auroc_max_softmax"
    assert clean.metric("accuracy").value == pytest.approx(0.9)


def test_a_suite_out_of_scope_with_rows_in_scope_is_refused(save, judged) -> None:
    with pytest.raises(DataError, match="foreign is said to be out of scope and has rows of 'w'"):
        evaluate_all([*judged, foreign_suite(save, known=4)], PARAMS)


def test_an_old_report_still_loads(judged) -> None:
    content = evaluate(judged[0], PARAMS).model_dump(mode="json")
    added = ("text_slices", "risk_coverage", "temperature", "scaled_reliability", "behaviour")
    old = {name: value for name, value in content.items() if name not in added}
    assert EvaluationReport.model_validate(old) == evaluate(judged[0], PARAMS)


def test_a_model_without_logits_is_judged_without_a_temperature(tmp_path) -> None:
    from pipeline_steps.predictions_file import StructuredTable

    nothing = np.full(4, None)
    table = StructuredTable(
        example_ids=np.array(list("abcd"), dtype=object),
        truth=np.array(['["x"]'] * 4, dtype=object),
        predicted=np.array(['["x"]', '["x"]', "[]", '["x"]'], dtype=object),
        score=np.array([0.9, 0.8, 0.4, 0.7]), labels=("x",), n_tokens=np.ones(4, dtype=np.int32),
        columns=dict.fromkeys(("domain", "group", "source", "timestamp"), nothing),
    )  # fmt: skip
    predictions = write_predictions(
        tmp_path / "p.parquet", table, checkpoint_digest="m", dataset_digest="d", suite="test",
        kind="clean", problem="multi_label_classification",
    )  # fmt: skip
    (report,) = evaluate_all([predictions], PARAMS, valid=predictions)
    assert report.temperature is None
    assert report.metric("adaptive_ece") is not None
    assert report.metric("aurc").value == pytest.approx(1 / 16)


def foreign_suite(save, known: int):
    """Return a suite whose rows are all of a fourth label; a model that knows three lacks it."""
    labels, suite = ("x", "y", "z", "w"), {"suite": "foreign", "kind": "out_of_scope"}
    return save([3] * 20, [0] * 20, labels=labels, known=known, **suite)


def test_suites_without_clean_rows_are_refused(save) -> None:
    with pytest.raises(DataError, match="1 suite, none of them clean"):
        evaluate_all([save(TRUTH, answers(1), suite="typos", kind="noise")], PARAMS)


def test_where_every_valid_row_is_right_nothing_is_scaled(judged, save) -> None:
    *reports, calibration = evaluate_all(judged, PARAMS, valid=save(TRUTH, TRUTH, suite="valid"))
    assert calibration.metric("temperature").value is None
    for report in (*reports, calibration):
        assert report.metric("ece_scaled").value is None
        assert report.metric("ece").value is not None
        assert report.scaled_reliability == ()


@pytest.mark.parametrize("predicted", [0, 1])
def test_one_row_is_enough_for_a_report_and_its_intervals_say_how_little(save, predicted) -> None:
    clean = save([0], [predicted])
    suite = save([0], [predicted], suite="typos", kind="noise")
    for report in evaluate_all([clean, suite], PARAMS, valid=clean):
        for metric in report.metrics:
            assert metric.value is None or metric.ci_low <= metric.value <= metric.ci_high
    gap = report_of("typos", [clean, suite]).metric("accuracy_gap")
    assert gap.ci_high - gap.ci_low > 1.0


def report_of(name: str, judged) -> EvaluationReport:
    return next(report for report in evaluate_all(judged, PARAMS) if report.suite == name)
