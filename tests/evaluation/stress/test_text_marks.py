"""Slices by what a text is like, compared with the champion's as those by a column of the data."""

from __future__ import annotations

import pytest

from pipeline_steps.evaluation.compare import compare
from pipeline_steps.evaluation.evaluate import evaluate
from pipeline_steps.evaluation.stress.suites import Texts, evaluate_all
from pipeline_steps.evaluation.stress.text_marks import TextMarks
from pipeline_steps.evaluation.stress.text_slices import TextProfile
from pipeline_steps.judging_params import EvaluateParams

PARAMS = EvaluateParams(bootstrap_resamples=50, slice_columns=("domain", "negation"))
TRUTH = [0] * 60
TEXTS = {f"r{i}": "it is not here" if i < 24 else "it is here" for i in range(60)}
PROFILE = TextProfile(frozenset({"it", "is", "here", "not"}), 3.0, 5.0)
MARKS = TextMarks.of_texts({"test": TEXTS}, PROFILE)


def test_harm_on_texts_with_a_negation_is_seen_whatever_the_order_of_the_rows(save) -> None:
    ours = [1 if i < 8 else 0 for i in range(60)]
    a = save(TRUTH, ours, digest="a", order=list(range(59, -1, -1)))
    b = save(TRUTH, TRUTH, digest="b", order=list(range(59, -1, -1)))
    found = {(s.column, s.value): s for s in compare(a, b, PARAMS, MARKS).slices}
    assert {column for column, _ in found} == {"domain", "negation"}
    lost = found["negation", "yes"]
    assert (lost.n, lost.difference.difference) == (24, pytest.approx(-8 / 24))
    assert found["negation", "no"].difference.difference == 0.0


def test_reports_and_the_worst_group_are_cut_by_the_same_slices(save) -> None:
    a = save(TRUTH, [1 if i < 8 else 0 for i in range(60)])
    [report] = evaluate_all([a], PARAMS, texts=Texts(PROFILE, {"test": TEXTS}))
    assert [m.value for m in (report.worst_group,)] == [pytest.approx(16 / 24)]
    assert report.slices == evaluate(a, PARAMS, MARKS).slices
    assert {part.column for part in report.slices} == {"domain", "negation"}


def test_a_suite_without_texts_has_the_slices_of_its_columns_alone(save) -> None:
    a = save(TRUTH, TRUTH, suite="attacked")
    assert {part.column for part in evaluate(a, PARAMS, MARKS).slices} == {"domain"}


def test_marks_are_read_as_they_were_written(tmp_path) -> None:
    files = MARKS.write(tmp_path)
    assert TextMarks.read(files).columns("test", ["r0"]).keys() >= {"negation", "length"}
    assert MARKS.write(tmp_path) == files
    values = [TextMarks.read(files).columns("test", [row])["negation"][0] for row in ("r0", "r30")]
    assert values == ["yes", "no"]
