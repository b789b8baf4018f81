"""What moved is found where it was planted, and the guesses without labels say what they can."""

from __future__ import annotations

import numpy as np
import pytest
from traffic_builders import LABELS, answered

from pipeline_steps.monitoring.cells import NEW, cell_of, fit_cells, moved_cells, risk_split
from pipeline_steps.monitoring.harm import estimate_harm, fit_harm_model
from pipeline_steps.monitoring.words import (
    benjamini_hochberg,
    moved_words,
    text_vectors,
    word_costs,
    word_counts,
)


def texts(seed, n, **shift):
    return [row[0] for row in answered(np.random.default_rng(seed), n, **shift)]


def test_planted_words_are_named_and_usual_ones_are_not() -> None:
    before = texts(0, 800)
    planted = [
        f"{text} zulu yankee" if i % 5 == 0 else text for i, text in enumerate(texts(1, 500))
    ]
    moved = moved_words(word_counts(before), 800, planted)
    assert {word.word for word in moved[:2]} == {"zulu", "yankee"}
    assert moved[0].reference_share == 0.0
    assert moved[0].current_share == pytest.approx(0.2)
    assert len(moved_words(word_counts(before), 800, texts(2, 500))) <= 1
    assert moved_words({}, 0, planted) == ()
    assert moved_words(word_counts(before), 800, []) == ()


def cells(n=600):
    rows = texts(3, n)
    costs = word_costs(rows)
    vectors = text_vectors(rows, costs)
    losses = np.zeros(n)
    return fit_cells(vectors, rows, losses, np.random.default_rng(0)), costs


def test_rows_of_a_new_kind_are_a_cell_of_their_own() -> None:
    fitted, costs = cells()
    rows = texts(4, 300, foreign=0.3)
    vectors = text_vectors(rows, costs)
    [first, *_] = moved_cells(fitted, cell_of(fitted, vectors), vectors, rows)
    assert (first.name, first.moved) == (NEW, True)
    assert first.current_share > 0.2
    assert len(first.examples) == 3


def test_no_cell_moves_without_drift() -> None:
    fitted, costs = cells()
    rows = texts(5, 600)
    vectors = text_vectors(rows, costs)
    moved = moved_cells(fitted, cell_of(fitted, vectors), vectors, rows)
    assert sum(cell.moved for cell in moved) <= 1
    assert moved_cells(fitted, np.empty(0, dtype=int), vectors[:0], []) == ()


def test_mix_and_worse_answers_are_told_apart() -> None:
    """Cells of risk 0 and 0.5: another mix moves the first part, worse answers the second."""
    fitted, _ = cells()
    n = len(fitted.counts)
    risks = np.zeros(n)
    risks[0] = 0.5
    counts = np.zeros(n, dtype=int)
    counts[:2] = 100
    known = type(fitted)(fitted.centres, counts, fitted.names, fitted.reach, risks)
    where = np.repeat([0, 1], [150, 50])
    same = np.concatenate([np.arange(150) % 2, np.zeros(50)]).astype(float)
    assert risk_split(known, where, same) == pytest.approx((0.125, 0.0), abs=0.01)
    where = np.repeat([0, 1], [100, 100])
    worse = np.concatenate([np.arange(100) % 2, np.arange(100) % 5 == 0]).astype(float)
    assert risk_split(known, where, worse) == pytest.approx((0.0, 0.1), abs=0.01)


def test_benjamini_hochberg_rejects_up_to_the_last_that_passes() -> None:
    p = np.array([0.001, 0.2, 0.03, 0.04, 0.9])
    assert benjamini_hochberg(p, 0.1).tolist() == [True, False, True, True, False]
    assert benjamini_hochberg(np.empty(0), 0.1).tolist() == []


def harm_model(rows):
    p = np.array([row[3] for row in rows])
    losses = np.array([float(row[1] != row[2]) for row in rows])
    answers = (LABELS, [row[1] for row in rows], [row[2] for row in rows])
    return fit_harm_model(p.max(axis=1), losses, p, answers)


def test_the_temperature_undoes_overconfidence() -> None:
    rows = answered(np.random.default_rng(6), 2_000)
    sharp = [(t, y, a, (p**3 / (p**3).sum())) for t, y, a, p in rows]
    assert harm_model(sharp).temperature == pytest.approx(
        3 * harm_model(rows).temperature, rel=0.02
    )


def test_another_mix_of_labels_is_priced_by_the_labels_accuracy() -> None:
    """One label is answered wrongly half of the time; twice as much of it costs what it costs."""
    rng = np.random.default_rng(7)
    truth = rng.choice(LABELS, 20_000)
    said = np.where((truth == "loan") & (rng.random(20_000) < 0.5), "card", truth)
    p = np.full((20_000, 3), 0.1) + 0.7 * (said[:, None] == np.array(LABELS))
    losses = (truth != said).astype(float)
    model = fit_harm_model(p.max(axis=1), losses, p, (LABELS, truth.tolist(), said.tolist()))
    later = rng.choice(LABELS, 20_000, p=(1 / 6, 4 / 6, 1 / 6))
    answered_later = np.where((later == "loan") & (rng.random(20_000) < 0.5), "card", later)
    guess = estimate_harm(model, np.full(20_000, 0.8), None, answered_later.tolist())
    assert guess.label_mix == pytest.approx(1 / 6, abs=0.03)
    assert guess.cbpe is None


def test_rows_without_any_confidence_have_no_guess() -> None:
    model = harm_model(answered(np.random.default_rng(8), 300))
    guess = estimate_harm(model, np.full(5, np.nan))
    assert (guess.atc, guess.cbpe, guess.disagreement) == (None, None, None)
