"""Tag schemes: what an entity is, and that rewriting a scheme changes none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.problems.entities import as_bio2, entities, is_tag

TAGS = st.lists(st.sampled_from(["O", "B-x", "I-x", "B-y", "I-y"]), max_size=12)


@given(TAGS)
def test_rewriting_keeps_the_entities_and_is_done_after_once(tags: list[str]) -> None:
    rewritten = as_bio2(tags)
    assert entities(rewritten) == entities(tags)
    assert as_bio2(rewritten) == rewritten


@given(TAGS)
def test_every_inside_tag_of_bio2_continues_its_type(tags: list[str]) -> None:
    rewritten = as_bio2(tags)
    for before, tag in zip(["O", *rewritten], rewritten, strict=False):
        assert not tag.startswith("I-") or before[2:] == tag[2:]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (["I-x", "I-x", "B-x"], ["B-x", "I-x", "B-x"]),  # IOB1
        (["S-x", "B-y", "I-y", "E-y"], ["B-x", "B-y", "I-y", "I-y"]),  # BIOES
        (["U-x", "B-y", "L-y", "O"], ["B-x", "B-y", "I-y", "O"]),  # BILOU
    ],
)
def test_other_schemes_become_bio2(written: list[str], expected: list[str]) -> None:
    assert as_bio2(written) == expected


@pytest.mark.parametrize("tag", ["", "o", "B", "B-", "B- ", "X-per", "Bper", "B_per"])
def test_what_is_no_tag_is_seen(tag: str) -> None:
    assert not is_tag(tag)
