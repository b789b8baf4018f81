"""Certificates: the bound against scipy, and the proof against every edit of toy models."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from pipeline_steps.errors import ConfigurationError
from pipeline_steps.evaluation.attacks.certify import (
    Certificate,
    Smoothing,
    certified_metrics,
    certified_radius,
    certify,
    share_lower_bound,
)

RATE = 0.8
ALPHABET = "ab"


@given(st.integers(1, 300), st.data())
def test_the_bound_is_clopper_and_pearsons(n: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, n))
    peer = binomtest(hits, n, alternative="greater").proportion_ci(0.999, method="exact")
    assert share_lower_bound(hits, n, 0.001) == pytest.approx(peer.low, abs=1e-9)


@given(st.floats(0.5, 1.0), st.floats(0.05, 0.95))
def test_the_radius_is_the_largest_that_the_formula_allows(share: float, rate: float) -> None:
    radius = certified_radius(share, rate)
    assert radius == 0 or share - 1.0 + rate**radius > 0.5 - 1e-12
    assert share - 1.0 + rate ** (radius + 1) <= 0.5 + 1e-12


@given(st.floats(0.5, 1.0), st.floats(0.5, 1.0), st.floats(0.05, 0.95))
def test_a_clearer_vote_is_never_certified_less(a: float, b: float, rate: float) -> None:
    low, high = sorted((a, b))
    assert certified_radius(low, rate) <= certified_radius(high, rate)


def exact_share(words: Sequence[str], says_yes: dict[tuple[str, ...], bool]) -> float:
    """Return the probability of "yes" over all ways of leaving words out."""
    total = 0.0
    for kept in itertools.product([False, True], repeat=len(words)):
        text = tuple(word for word, stays in zip(words, kept, strict=True) if stays)
        total += says_yes[text] * RATE ** (len(words) - len(text)) * (1 - RATE) ** len(text)
    return total


def neighbours(words: tuple[str, ...]) -> set[tuple[str, ...]]:
    """Return every text that one edit of a word makes."""
    n = len(words)
    deleted = {words[:i] + words[i + 1 :] for i in range(n)}
    replaced = {(*words[:i], new, *words[i + 1 :]) for i in range(n) for new in ALPHABET}
    inserted = {(*words[:i], new, *words[i:]) for i in range(n + 1) for new in ALPHABET}
    return deleted | replaced | inserted


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**127 - 1), st.tuples(*[st.sampled_from(ALPHABET)] * 3))
def test_no_edit_within_the_radius_turns_the_vote_of_a_toy_model(
    table: int, words: tuple[str, ...]
) -> None:
    """Any function of texts of up to five words, all edits of one and two words enumerated.

    Texts of one or no word say "yes": otherwise hardly any vote is clear enough at this rate.
    """
    texts = [t for n in range(6) for t in itertools.product(ALPHABET, repeat=n)]
    says_yes = {t: len(t) < 2 or bool(table >> i & 1) for i, t in enumerate(texts)}
    radius = certified_radius(exact_share(words, says_yes), RATE)
    reached = {words}
    for edits in range(1, 3):
        reached |= {new for text in reached for new in neighbours(text)}
        if edits <= radius:
            assert all(exact_share(text, says_yes) > 0.5 for text in reached)


def test_certified_accuracy_is_below_the_accuracy_under_every_deletion_attack() -> None:
    """Rows of up to four words; the smoothed model says yes where an "a" is likely left."""
    texts = [t for n in range(6) for t in itertools.product(ALPHABET, repeat=n)]
    says_yes = {t: "b" not in t for t in texts}
    rows = [t for n in range(1, 5) for t in itertools.product(ALPHABET, repeat=n)]
    for r in (1, 2):
        certified = attacked = 0
        for words in rows:
            share = exact_share(words, says_yes)
            certified += share > 0.5 and certified_radius(share, RATE) >= r
            shorter = itertools.combinations(words, max(0, len(words) - r))
            attacked += share > 0.5 and all(exact_share(t, says_yes) > 0.5 for t in shorter)
        assert 0 < certified <= attacked


def test_a_label_that_always_comes_is_certified_as_far_as_the_samples_allow() -> None:
    smoothing = Smoothing(deletion_rate=0.9, n_choosing=20, n_counting=200, alpha=0.001)
    found = certify("a b c", lambda texts: ["yes"] * len(texts), smoothing, seed=0)
    low = 0.001 ** (1 / 200)
    assert found.label == "yes"
    assert found.share_low == pytest.approx(low)
    assert found.radius == certified_radius(low, 0.9) == 5


def test_a_vote_without_a_certain_majority_abstains_and_the_seed_repeats_it() -> None:
    def odd(texts: Sequence[str]) -> list[str]:
        return ["yes" if len(text.split()) % 2 else "no" for text in texts]

    smoothing = Smoothing(deletion_rate=0.5, n_choosing=20, n_counting=100)
    found = certify("a b c d e f", odd, smoothing, seed=1)
    assert found.label is None
    assert found == certify("a b c d e f", odd, smoothing, seed=1)


def test_the_bound_is_seldom_above_the_true_share() -> None:
    """2,000 counts of 100 at share 0.7 and alpha 0.05."""
    import numpy as np

    hits = np.random.default_rng(0).binomial(100, 0.7, size=2_000)
    wrong = np.mean([share_lower_bound(int(h), 100, 0.05) > 0.7 for h in hits])
    assert wrong <= 0.05 + 0.015


def test_certified_accuracy_falls_with_the_radius_and_abstaining_is_wrong() -> None:
    radii = [("a", 7), ("a", 1), ("b", 9), (None, 0), ("a", 0)]
    made = [Certificate(label=label, share_low=0.9, radius=radius) for label, radius in radii]
    found = certified_metrics(made, ["a"] * 5, 0.95)
    assert [(m.name, m.value) for m in found] == [
        ("smoothed_accuracy", 0.6), ("certified_accuracy_1", 0.4),
        ("certified_accuracy_2", 0.2), ("certified_accuracy_5", 0.2),
    ]  # fmt: skip
    assert all(m.ci_low is not None and m.ci_low <= m.value <= m.ci_high for m in found)
    assert certified_metrics([], [], 0.95)[0].value is None


@pytest.mark.parametrize("wrong", [{"deletion_rate": 1.0}, {"n_counting": 0}, {"alpha": 0.0}])
def test_settings_that_certify_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="nothing can be certified"):
        certify("a", lambda texts: ["x"] * len(texts), Smoothing(**wrong), seed=0)
