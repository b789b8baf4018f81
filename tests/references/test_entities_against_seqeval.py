"""Entity scores against seqeval (Nakayama 2018) in its default mode."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval import metrics as seqeval

from pipeline_steps.evaluation.answers import answered_rows
from pipeline_steps.evaluation.scored import point_metrics
from pipeline_steps.problems.catalog import PROBLEMS
from pipeline_steps.problems.ner import entity_f1

TAG = st.sampled_from(["O", "O", "B-x", "I-x", "B-y", "I-y", "B-z"])
PAIRS = st.lists(
    st.integers(1, 8).flatmap(
        lambda n: st.tuples(
            st.lists(TAG, min_size=n, max_size=n), st.lists(TAG, min_size=n, max_size=n)
        )
    ),
    min_size=1,
    max_size=6,
)


@given(PAIRS)
def test_precision_recall_and_f1_are_those_of_seqeval(pairs) -> None:
    truth, predicted = (list(tags) for tags in zip(*pairs, strict=True))
    rows = answered_rows(
        PROBLEMS["ner"],
        np.array([json.dumps(tags) for tags in truth], dtype=object),
        np.array([json.dumps(tags) for tags in predicted], dtype=object),
        np.full(len(pairs), 0.5),
        10,
    )
    ours = {name: np.nan_to_num(value) for name, value in point_metrics(rows).items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where a ratio is 0/0
        assert ours["entity_f1"] == pytest.approx(seqeval.f1_score(truth, predicted))
        assert ours["entity_precision"] == pytest.approx(seqeval.precision_score(truth, predicted))
        assert ours["entity_recall"] == pytest.approx(seqeval.recall_score(truth, predicted))
        assert ours["token_accuracy"] == pytest.approx(seqeval.accuracy_score(truth, predicted))
        if not rows.statistics.classes:
            return
        macro = seqeval.f1_score(truth, predicted, average="macro")
        assert ours["macro_f1"] == pytest.approx(macro)
        assert entity_f1(pairs)["macro_f1"] == pytest.approx(macro)
        report = seqeval.classification_report(truth, predicted, output_dict=True)
    for line in rows.statistics.classes:
        theirs = report[line.label]
        assert (line.precision, line.recall, line.f1, line.support) == pytest.approx(
            (theirs["precision"], theirs["recall"], theirs["f1-score"], theirs["support"])
        )
