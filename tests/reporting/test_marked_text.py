"""Two texts as one: nothing is lost, and what nobody would see has a name."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.reporting.marked_text import Part, marked

texts = st.text(alphabet="ab \u200b\u00e9\u597d,.'", max_size=20)


@given(original=texts, changed=texts)
def test_both_texts_can_be_read_off_the_marked_one(original: str, changed: str) -> None:
    parts = marked(original, changed)
    assert "".join(p.text for p in parts if p.kind != "ins") == original
    assert "".join(p.text for p in parts if p.kind != "del") == changed
    assert all(p.text for p in parts)


def test_whole_words_are_marked() -> None:
    assert marked("a good film", "a godo film")[1:3] == [Part("del", "good"), Part("ins", "godo")]


def test_characters_that_cannot_be_seen_or_told_apart_are_named() -> None:
    (invisible,) = [p for p in marked("a good film", "a go\u200bod film") if p.kind == "ins"]
    (lookalike,) = [p for p in marked("a good film", "a g\u043eod film") if p.kind == "ins"]
    assert (invisible.note, lookalike.note) == ("U+200B", "U+043E")
    (chinese,) = [p for p in marked("\u597d\u7535", "\u597d\u5f71") if p.kind == "ins"]
    assert chinese.note == ""
