"""What is kept of a row: nothing that a rule names, and counts that still fit."""

from __future__ import annotations

import json
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.serve_params import Redaction, ServeParams
from pipeline_steps.serving.redaction import Redactor

DEFAULT = Redactor(ServeParams().redact)
LETTERS = Redactor([Redaction(pattern="b+", replacement="<letter>"), Redaction(pattern="cd")])


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("mail ann.b+c@mail.example.org now", "mail [email] now"),
        ("card 4111 1111 1111 1111 is lost", "card [card] is lost"),
        ("4111-1111-1111-1111", "[card]"),
        ("order 123456789012 and phone 0301234567", "order 123456789012 and phone 0301234567"),
        ("a @ b", "a @ b"),
    ],
)
def test_mail_addresses_and_card_numbers_are_not_kept(text: str, kept: str) -> None:
    assert DEFAULT.text(text) == kept
    assert DEFAULT.kept({"text": text}, {"label": "x", "score": 1.0}) == (
        {"text": kept},
        {"label": "x"},
    )


def test_a_long_text_does_not_hold_the_service_up() -> None:
    began = time.process_time()
    for text in ("a." * 10_000, "1 " * 10_000, "a@" * 10_000):
        DEFAULT.text(text)
    assert time.process_time() - began < 3


def test_what_is_written_is_redacted_and_labels_are_not() -> None:
    said = {"summary": "ask x@y.de", "score": 0.1}
    assert DEFAULT.kept({"text": "a"}, said)[1] == {"summary": "ask [email]"}
    assert DEFAULT.kept({"text": "a"}, {"labels": ["x@y.de"]})[1] == {"labels": ["x@y.de"]}


def test_lists_and_texts_within_them_are_redacted() -> None:
    request = {"messages": '[{"role": "user", "content": "x@y.de"}]', "candidates": ["x@y.de", "b"]}
    example, output = DEFAULT.kept(request, {"reply": "x@y.de", "place": 0, "score": 1.0})
    assert example["messages"] == '[{"role": "user", "content": "[email]"}]'
    assert (example["candidates"], output) == (["[email]", "b"], {"place": 0})


TURNS = st.lists(
    st.tuples(st.sampled_from(["user", "assistant"]), st.text('a@.x1 \n\t"\\éu\ud800', min_size=1)),
    min_size=1, max_size=4,
)  # fmt: skip


@given(TURNS, st.booleans(), st.sampled_from([DEFAULT, Redactor([Redaction(pattern="u|n|[0-9]")])]))
def test_a_conversation_is_kept_as_one_with_each_message_redacted(
    turns: list[tuple[str, str]], ascii_only: bool, redactor: Redactor
) -> None:
    said = [{"role": role, "content": content} for role, content in turns]
    sent = f" {json.dumps(said, ensure_ascii=ascii_only)}"
    kept = redactor.kept({"messages": sent}, {"reply": "a"})[0]["messages"]
    assert json.loads(kept) == [
        {**each, "content": redactor.text(each["content"])} for each in said
    ]


def test_an_escape_before_an_address_is_no_part_of_it() -> None:
    sent = json.dumps([{"role": "user", "content": "write to\nann@x.org"}])
    kept = DEFAULT.kept({"messages": sent}, {"reply": "a"})[0]["messages"]
    assert json.loads(kept) == [{"role": "user", "content": "write to\n[email]"}]
    assert DEFAULT.kept({"messages": "I am ann@x.org"}, {"reply": "a"})[0] == {
        "messages": "I am [email]"
    }


def test_of_a_message_only_what_a_model_reads_is_kept() -> None:
    deep = "[" * 900 + "]" * 900
    sent = f'[{{"role": "user", "content": "a", "mail": "x@y.de", "more": {deep}}}]'
    kept = DEFAULT.kept({"messages": sent}, {"reply": "a"})[0]["messages"]
    assert kept == '[{"role": "user", "content": "a"}]'


@given(st.lists(st.text("abcd", min_size=1, max_size=4), min_size=1, max_size=8))
def test_there_are_as_many_words_as_tags(words: list[str]) -> None:
    said = {"tokens": words, "tags": ["O"] * len(words), "entities": "[]", "score": 1.0}
    example, output = LETTERS.kept({"tokens": words}, said)
    assert len(example["tokens"]) == len(output["tags"]) == len(words)
    assert not any(re.search("b|cd", w) for w in example["tokens"] if w[0] not in "<[")
    assert set(output) == {"tags"}


def test_a_card_number_over_several_words_is_found() -> None:
    words = ["pay", "4111", "1111", "1111", "1111", "now"]
    said = {"tokens": words, "tags": ["O"] * 6}
    assert DEFAULT.kept({"text": " ".join(words)}, said)[0] == {
        "tokens": ["pay", *["[card]"] * 4, "now"]
    }


@given(st.text("abcd ", min_size=2, max_size=20), st.data())
def test_spans_follow_the_text(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    request = {"text": text, "head_start": start, "head_end": end, "tail_start": 0, "tail_end": 1}
    example, _ = LETTERS.kept(request, {"label": "x"})
    span = example["text"][example["head_start"] : example["head_end"]]
    assert 0 <= example["head_start"] <= example["head_end"] <= len(example["text"])
    if not re.search("b|cd", text):
        assert span == text[start:end]
    elif not any(m.start() < p < m.end() for p in (start, end) for m in re.finditer("b+|cd", text)):
        assert span == LETTERS.text(text[start:end])


def test_an_answer_in_a_context_is_found_where_it_is_kept() -> None:
    request = {"question": "who", "context": "x@y.de wrote to Ann"}
    example, output = DEFAULT.kept(request, {"answer": "Ann", "start": 16, "score": 1.0})
    assert example["context"][output["start"] :] == "Ann"
    nothing = DEFAULT.kept(request, {"answer": "", "start": -1, "score": 1.0})[1]
    assert nothing["start"] == -1


@pytest.mark.parametrize(("pattern", "said"), [("(", "is no regular"), ("a*", "an empty text")])
def test_a_wrong_rule_is_refused(pattern: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Redaction(pattern=pattern)
