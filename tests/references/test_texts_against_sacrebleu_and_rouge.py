"""Overlap of texts against sacreBLEU (Post 2018) and rouge-score (Google's ROUGE)."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from pipeline_steps.evaluation.answers import answered_rows
from pipeline_steps.evaluation.scored import point_metrics
from pipeline_steps.problems.catalog import PROBLEMS
from pipeline_steps.problems.rouge import NAMES
from pipeline_steps.problems.writing import Written

WORDS = [
    "the",
    "cat",
    "sat",
    "Die",
    "3.5",
    "a-b",
    "don't",
    "&amp;",
    "ä",
    "1,000",
    "x.",
    "(y)",
    "猫",
    "-\n",
]
TEXT = st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join) | st.text(
    st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=20
)
ROWS = st.integers(1, 3).flatmap(
    lambda n: st.lists(
        st.tuples(st.lists(TEXT, min_size=n, max_size=n), TEXT), min_size=1, max_size=6
    )
)


def scored(problem: str, rows):
    truth, said = zip(*rows, strict=True)
    return answered_rows(
        PROBLEMS[problem],
        np.array([json.dumps(references) for references in truth], dtype=object),
        np.array([Written(text).as_json() for text in said], dtype=object),
        np.linspace(0.1, 0.9, len(rows)),
        10,
    )


def corpus(metric, rows) -> float:
    truth, said = zip(*rows, strict=True)
    streams = [list(stream) for stream in zip(*truth, strict=True)]
    return metric.corpus_score(list(said), streams).score / 100


@given(rows=ROWS)
def test_chrf_and_bleu_of_a_corpus_are_those_of_sacrebleu(rows) -> None:
    found = point_metrics(scored("translation", rows))
    assert found["bleu"] == pytest.approx(corpus(BLEU(), rows), abs=1e-9)
    assert found["chrf"] == pytest.approx(corpus(CHRF(), rows), abs=1e-9)


@given(rows=ROWS, data=st.data())
def test_a_resample_scores_as_sacrebleu_scores_its_rows(rows, data) -> None:
    """Bootstrap intervals and paired tests are functions of sums: a weight is a repetition."""
    drawn = data.draw(
        st.lists(st.integers(0, len(rows) - 1), min_size=len(rows), max_size=len(rows))
    )
    weights = np.bincount(drawn, minlength=len(rows))[None, :].astype(float)
    found = scored("translation", rows).weighted(weights)
    again = [rows[row] for row in drawn]
    assert found["bleu"][0] == pytest.approx(corpus(BLEU(), again), abs=1e-9)
    assert found["chrf"][0] == pytest.approx(corpus(CHRF(), again), abs=1e-9)


@given(rows=ROWS)
def test_rouge_is_that_of_rouge_score(rows) -> None:
    scorer = RougeScorer(list(NAMES), use_stemmer=False)
    found = point_metrics(scored("summarisation", rows))
    for name in NAMES:
        theirs = [scorer.score_multi(truth, said)[name].fmeasure for truth, said in rows]
        assert found[name] == pytest.approx(np.mean(theirs), abs=1e-12)
