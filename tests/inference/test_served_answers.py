"""What served classifiers return: every form that is common is read, and everything else refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.errors import DataError
from pipeline_steps.inference.endpoint import shown_url
from pipeline_steps.inference.served_answers import Said, read_said

SCORES = {"a": 0.75, "b": 0.25}
LISTED = [{"label": "b", "score": 0.25}, {"label": "a", "score": 0.75}]


@pytest.mark.parametrize(
    "row",
    [
        SCORES,
        LISTED,
        {"label": "a", "score": 0.75, "scores": SCORES},
        {"output": LISTED},
    ],
)
def test_every_form_with_all_scores_says_the_same(row: Any) -> None:
    assert read_said([row, row], 2) == [Said("a", 0.75, SCORES)] * 2
    assert read_said({"predictions": [row]}, 1) == [Said("a", 0.75, SCORES)]


def test_a_list_of_probabilities_is_named_by_place() -> None:
    assert read_said([[0.25, 0.75]], 1) == [Said("1", 0.75, {"0": 0.25, "1": 0.75})]


def test_one_row_may_come_without_a_list_around_it() -> None:
    assert read_said(LISTED, 1) == [Said("a", 0.75, SCORES)]


def test_some_of_the_labels_are_not_taken_for_all() -> None:
    some = [{"label": "a", "score": 0.5}, {"label": "b", "score": 0.2}]
    assert read_said([some], 1) == [Said("a", 0.5, None)]


@pytest.mark.parametrize(("row", "label"), [("a", "a"), (3, "3"), ({"prediction": "a"}, "a")])
def test_a_label_alone_has_no_score(row: Any, label: str) -> None:
    [said] = read_said([row], 1)
    assert said.label == label
    assert math.isnan(said.score)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(json_values, st.integers(1, 3))
def test_whatever_comes_back_is_read_or_refused(output: Any, n: int) -> None:
    try:
        found = read_said(output, n)
    except DataError:
        return
    assert len(found) == n
    assert all(math.isnan(said.score) or 0 <= said.score <= 1 for said in found)


def test_an_address_is_shown_without_what_may_be_secret() -> None:
    assert shown_url("http://a:b@host/p?token=c#d") == "http://host/p"
