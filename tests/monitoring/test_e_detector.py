"""Stage 1: the budget of false alarms holds, whatever is compared; what moved is found."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline_steps.monitoring.e_detector import N_BETS, EDetector, comparable_scores

THRESHOLD = 1_000.0
NAMES = ("a", "b", "c")


def stream(rng, n, *, shift=0.0, correlated=0.8):
    common = rng.standard_normal((n, 1)) * np.sqrt(correlated)
    return common + rng.standard_normal((n, 3)) * np.sqrt(1 - correlated) + shift


def alarm(rng, reference, rows, threshold=THRESHOLD, **how):
    detector = EDetector.on(NAMES, reference, threshold, **how)
    path = detector.observe(rows, rng.random(rows.shape))
    over = np.flatnonzero(path >= threshold)
    return int(over[0]) + 1 if len(over) else None


def share_of_alarms(make, n_streams=150, **how):
    alarms = 0
    for seed in range(n_streams):
        rng = np.random.default_rng(seed)
        alarms += alarm(rng, *make(rng), **how) is not None
    return alarms / n_streams


def tolerance(bound, n):
    return bound + 3 * np.sqrt(bound * (1 - bound) / n)


def test_false_alarms_stay_within_the_budget_with_correlated_scores() -> None:
    share = share_of_alarms(lambda rng: (stream(rng, 300), stream(rng, 200)))
    assert share <= tolerance(200 / THRESHOLD, 150)


def test_false_alarms_stay_within_the_budget_with_ties() -> None:
    def tied(rng):
        return np.round(stream(rng, 300)), np.round(stream(rng, 200))

    assert share_of_alarms(tied) <= tolerance(200 / THRESHOLD, 150)


def test_false_alarms_stay_within_the_budget_when_the_bag_is_full() -> None:
    share = share_of_alarms(lambda rng: (stream(rng, 300), stream(rng, 200)), cap=300)
    assert share <= tolerance(200 / THRESHOLD, 150)


def test_the_mean_wealth_counts_the_rows_without_drift() -> None:
    """``R_t - t`` is a martingale: its mean over streams is 0."""
    ends = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        detector = EDetector.on(NAMES, stream(rng, 200), 1e9)
        ends.append(detector.observe(stream(rng, 10), rng.random((10, 3)))[-1] - 10)
    assert abs(np.mean(ends)) < 4 * np.std(ends) / np.sqrt(len(ends))


def test_a_shift_of_half_a_deviation_is_found_within_two_hundred_rows() -> None:
    delays = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        delays.append(alarm(rng, stream(rng, 1_000), stream(rng, 400, shift=0.5), 1e5))
    assert all(delay is not None for delay in delays)
    assert np.median(delays) < 200


def test_one_row_in_ten_that_is_very_strange_is_found() -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        rows = stream(rng, 2_000)
        rows[rng.random(2_000) < 0.1] += 3.0
        assert alarm(rng, stream(rng, 1_000), rows, 1e5) < 800


def test_a_moved_answer_in_the_middle_of_an_order_is_found() -> None:
    """No fixed bet sees it; the learnt density does."""
    rng = np.random.default_rng(0)
    reference = rng.integers(0, 20, (2_000, 3)).astype(float)
    rows = rng.integers(0, 20, (3_000, 3)).astype(float)
    rows[rng.random(3_000) < 0.15] = 10.0
    assert alarm(rng, reference, rows, 1e5) is not None


@pytest.mark.parametrize("change", [np.exp, lambda x: x**3, lambda x: 5 * x - 2])
def test_only_the_order_of_a_score_matters(change) -> None:
    rng = np.random.default_rng(1)
    reference, rows, u = stream(rng, 300), stream(rng, 300, shift=0.3), rng.random((300, 3))
    plain = EDetector.on(NAMES, reference, 1e5).observe(rows, u)
    changed = EDetector.on(NAMES, change(reference), 1e5).observe(change(rows), u)
    np.testing.assert_allclose(plain, changed)


@pytest.mark.parametrize("cut", [1, 255, 256, 257, 600])
def test_rows_in_two_windows_are_the_same_rows_in_one(cut) -> None:
    rng = np.random.default_rng(2)
    reference, rows, u = stream(rng, 300), stream(rng, 700), rng.random((700, 3))
    whole = EDetector.on(NAMES, reference, 1e5)
    expected = whole.observe(rows, u)
    first = EDetector.on(NAMES, reference, 1e5)
    head = first.observe(rows[:cut], u[:cut])
    again = EDetector.from_bytes(first.to_bytes())
    tail = again.observe(rows[cut:], u[cut:])
    np.testing.assert_allclose(np.concatenate([head, tail]), expected)
    assert again.n_rows == whole.n_rows == 700
    assert again.evidence_by_score() == pytest.approx(whole.evidence_by_score())


def test_a_state_of_other_bets_starts_them_anew_on_the_same_rows() -> None:
    rng = np.random.default_rng(5)
    detector = EDetector.on(NAMES, stream(rng, 200), 1e5)
    detector.observe(stream(rng, 50), rng.random((50, 3)))
    detector.wealth = detector.wealth[:, :-1]
    again = EDetector.from_bytes(detector.to_bytes())
    assert again.evidence == 0.0
    assert again.wealth.shape == (3, N_BETS)
    assert len(again.bags[""].columns[0]) == 250


def test_missing_scores_bet_nothing() -> None:
    rng = np.random.default_rng(3)
    detector = EDetector.on(NAMES, stream(rng, 300), 1e5)
    path = detector.observe(np.full((50, 3), np.nan), rng.random((50, 3)))
    np.testing.assert_allclose(path, np.arange(1, 51))


def test_within_strata_a_mixture_of_day_and_night_is_no_drift() -> None:
    """Night rows score higher and come at other hours; compared with their like they are usual."""

    def of(rng, n, share):
        night = rng.random(n) < share
        return stream(rng, n) + 2.0 * night[:, None], np.where(night, "night", "day")

    guarded = unguarded = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        reference, where = of(rng, 600, 0.3)
        rows, hours = of(rng, 300, 0.6)
        u = rng.random(rows.shape)
        with_strata = EDetector.on(NAMES, reference, THRESHOLD, strata=where)
        guarded += with_strata.observe(rows, u, hours).max() >= THRESHOLD
        unguarded += EDetector.on(NAMES, reference, THRESHOLD).observe(rows, u).max() >= THRESHOLD
    assert guarded / 40 <= tolerance(300 / THRESHOLD, 40)
    assert unguarded == 40


def test_what_cannot_be_tested_is_said_with_its_reason() -> None:
    reference = np.column_stack(
        [np.arange(150.0), np.ones(150), np.where(np.arange(150) < 30, 1.0, np.nan)]
    )
    kept, reasons = comparable_scores(NAMES, reference)
    assert kept == [0]
    assert reasons["b"] == "it is the same for every row of the reference"
    assert reasons["c"] == "30 rows of the reference have it, 100 are needed"


def test_every_score_has_the_same_number_of_bets() -> None:
    rng = np.random.default_rng(4)
    detector = EDetector.on(NAMES, stream(rng, 200), 1e5)
    detector.observe(stream(rng, 3), rng.random((3, 3)))
    assert detector.wealth.shape == (3, N_BETS)


def test_many_strata_share_the_room_of_four_bags_and_one_bag_takes_the_rest() -> None:
    rng = np.random.default_rng(0)
    detector = EDetector.on(("a", "b"), rng.random((200, 2)), 1e5, cap=4_000)
    names = np.array([f"{i % 24:02d}" for i in range(60_000)])
    detector.observe(rng.random((60_000, 2)), rng.random((60_000, 2)), names, n_strata=24)
    sizes = detector.bag_sizes()
    assert {n for name, n in sizes.items() if name} == {2_000}
    assert len(detector.to_bytes()) < 25 * 2 * 8 * 2_000 * 1.1
    made_up = np.array([f"client {i}" for i in range(1_000)])
    detector.observe(rng.random((1_000, 2)), rng.random((1_000, 2)), made_up)
    sizes = detector.bag_sizes()
    assert len(sizes) == 201
    assert sizes["(others)"] == 1_000 - 175
    again = EDetector.from_bytes(detector.to_bytes())
    assert again.bag_sizes() == sizes


def test_without_strata_a_bag_holds_as_many_rows_as_before() -> None:
    rng = np.random.default_rng(0)
    detector = EDetector.on(("a",), rng.random((200, 1)), 1e5, cap=500)
    detector.observe(rng.random((900, 1)), rng.random((900, 1)))
    assert detector.bag_sizes() == {"": 500}
