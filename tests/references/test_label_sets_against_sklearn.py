"""Metrics of sets of labels are scikit-learn's, on any sets that hypothesis finds."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics as reference
from sklearn.preprocessing import MultiLabelBinarizer

from pipeline_steps.evaluation.answers import AnsweredRows, answered_rows
from pipeline_steps.evaluation.scored import point_metrics
from pipeline_steps.problems.catalog import PROBLEMS
from pipeline_steps.problems.multi_label_classification import label_f1

sets = st.sets(st.sampled_from("abcde"))
rows_of_sets = st.lists(st.tuples(sets, sets), min_size=1, max_size=30)


def scored(pairs) -> AnsweredRows:
    truth, predicted = (
        np.array([json.dumps(sorted(labels)) for labels in column], dtype=object)
        for column in zip(*pairs, strict=True)
    )
    confidence = np.full(len(pairs), 0.5)
    return answered_rows(PROBLEMS["multi_label_classification"], truth, predicted, confidence, 10)


def binarized(pairs) -> tuple[list[str], np.ndarray, np.ndarray]:
    names = sorted({label for pair in pairs for labels in pair for label in labels})
    assume(len(names) > 1)  # scikit-learn takes one column for a binary problem
    as_columns = MultiLabelBinarizer(classes=names)
    truth, predicted = zip(*pairs, strict=True)
    return names, as_columns.fit_transform(truth), as_columns.transform(predicted)


@given(rows_of_sets)
def test_averages_of_f1_subset_accuracy_and_hamming_loss(pairs) -> None:
    _, truth, predicted = binarized(pairs)
    ours = point_metrics(scored(pairs))
    for average, undefined in (("micro", 0.0), ("macro", 0.0), ("samples", 1.0)):
        theirs = reference.f1_score(truth, predicted, average=average, zero_division=undefined)
        assert ours[f"{average}_f1"] == pytest.approx(theirs), average
    for name, theirs in (
        ("subset_accuracy", reference.accuracy_score(truth, predicted)),
        ("hamming_loss", reference.hamming_loss(truth, predicted)),
        (
            "micro_precision",
            reference.precision_score(truth, predicted, average="micro", zero_division=0),
        ),
        (
            "micro_recall",
            reference.recall_score(truth, predicted, average="micro", zero_division=0),
        ),
    ):
        assert ours[name] == pytest.approx(theirs), name


@given(rows_of_sets)
def test_precision_recall_f1_and_support_of_each_label_of_a_set(pairs) -> None:
    names, truth, predicted = binarized(pairs)
    theirs = reference.precision_recall_fscore_support(truth, predicted, zero_division=0)
    found = scored(pairs).statistics.classes
    assert [row.label for row in found] == names
    ours = np.array([(row.precision, row.recall, row.f1, row.support) for row in found])
    np.testing.assert_allclose(ours.T, np.array(theirs))


@given(rows_of_sets)
def test_validation_scores_are_those_of_the_report(pairs) -> None:
    assume(any(labels for pair in pairs for labels in pair))
    reported = point_metrics(scored(pairs))
    for name, value in label_f1(pairs).items():
        assert value == pytest.approx(reported[name])


@given(rows_of_sets, st.data())
def test_weighting_a_row_of_labels_is_repeating_it(pairs, data) -> None:
    weights = data.draw(st.lists(st.integers(0, 3), min_size=len(pairs), max_size=len(pairs)))
    weights[0] = max(weights[0], 1)
    rows = scored(pairs)
    expected = point_metrics(rows.take(np.repeat(np.arange(len(pairs)), weights)))
    for name, value in rows.weighted(np.array([weights], float)).items():
        np.testing.assert_allclose(value[0], expected[name])


def test_missed_and_wrong_labels_of_a_row_are_paired() -> None:
    rows = scored([({"a"}, {"b"}), ({"a"}, {"b"}), ({"c"}, set()), (set(), {"d"}), ({"a"}, {"a"})])
    assert rows.statistics.confusion == (("a", "b", 2), ("c", "no label", 1), ("no label", "d", 1))
    assert rows.directions["hamming_loss"] is False
