"""Every refusal says what was received, what was expected and how to mend it."""

from __future__ import annotations

import pytest

from pipeline_steps import errors
from pipeline_steps.errors import HoldfastError, counted

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, HoldfastError)
]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_shows_its_three_sentences(kind: type[HoldfastError]) -> None:
    error = kind("three eggs", expected="four eggs", fix="buy one more")
    assert str(error) == "three eggs\n  expected: four eggs\n  to fix it: buy one more"
    assert (error.received, error.expected, error.fix) == (
        "three eggs",
        "four eggs",
        "buy one more",
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal_never_exits_with_success(kind: type[HoldfastError]) -> None:
    assert kind.exit_code > 1


@pytest.mark.parametrize(
    ("n", "words"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (1_000, "1000 rows")]
)
def test_only_one_is_singular(n: int, words: str) -> None:
    assert counted(n, "row") == words
