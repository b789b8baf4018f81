"""Subpopulations that are read off the text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.evaluation.reading import read_scored
from pipeline_steps.evaluation.stress.text_slices import (
    COLUMNS,
    TextProfile,
    text_columns,
    text_profile,
    text_slices,
)
from pipeline_steps.judging_params import EvaluateParams

PROFILE = TextProfile(frozenset({"my", "card", "is", "here", "the"}), 2.0, 4.0)


def described(text: str) -> dict[str, str]:
    return {name: column[0] for name, column in text_columns([text], PROFILE).items()}


@pytest.mark.parametrize(
    ("text", "column", "value"),
    [
        ("my card", "length", "short"),
        ("my card is here", "length", "medium"),
        ("my card is here the", "length", "long"),
        ("My CARD", "rare_words", "none"),
        ("my card is here xyz", "rare_words", "few"),
        ("my xyz", "rare_words", "many"),
        ("it isn\u2019t here", "negation", "yes"),
        ("I CANNOT pay", "negation", "yes"),
        ("a knot and a note", "negation", "no"),
        ("nothing came", "negation", "yes"),
        ("pay 5 euros", "number", "yes"),
        ("pay \u0665", "number", "yes"),
        ("pay five", "number", "no"),
        ("where?", "question", "yes"),
        ("\u3069\u3053\uff1f", "question", "yes"),
        ("", "length", "short"),
    ],
)
def test_each_text_is_described(text, column, value) -> None:
    assert described(text)[column] == value


def test_the_profile_knows_the_frequent_words_and_the_terciles() -> None:
    profile = text_profile(["a a a", "b b", "c", "c b a d e f"], 2)
    assert profile.frequent == {"a", "b"}
    assert (profile.short, profile.long) == (2.0, 3.0)
    assert text_profile([], 5) == TextProfile(frozenset(), 0.0, 0.0)


@given(st.lists(st.text(), max_size=20))
def test_every_text_gets_one_value_in_each_column(texts) -> None:
    columns = text_columns(texts, text_profile(texts, 3))
    assert tuple(columns) == COLUMNS
    assert {len(column) for column in columns.values()} == {len(texts)}


def test_slices_carry_n_and_interval_and_their_rows_add_up(save) -> None:
    params = EvaluateParams(bootstrap_resamples=50, min_slice_rows=1, text_slices=("question",))
    _, rows = read_scored(save([0, 1, 2, 0], [0, 1, 0, 0]), params)
    columns = text_columns(["a?", "b", "c?", "d"], PROFILE)
    found = text_slices(rows, columns, params)
    assert [(part.column, part.value, part.n) for part in found] == [
        ("question", "yes", 2), ("question", "no", 2),
    ]  # fmt: skip
    accuracy = found[0].metrics[0]
    assert (accuracy.name, accuracy.value) == ("accuracy", 0.5)
    assert accuracy.ci_low < 0.5 < accuracy.ci_high
    assert np.isclose(sum(p.n * p.metrics[0].value for p in found) / 4, rows.correct.mean())
