"""Rows of each problem: read, judged, perturbed, asked of a server."""

from __future__ import annotations

import json

import pytest
from builders import STRUCTURED, structured_examples, structured_rows
from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.fields import NotAValueError
from pipeline_steps.noise import perturb
from pipeline_steps.problems.catalog import PROBLEMS, get_problem
from pipeline_steps.problems.ner import tokens_and_tags
from pipeline_steps.problems.question_answering import answers
from pipeline_steps.problems.relation_extraction import spans
from pipeline_steps.problems.relation_extraction import target_of as spans_target
from pipeline_steps.problems.writing import references
from pipeline_steps.problems.writing import target_of as texts_target

NOISES = st.sampled_from(["typos", "casing", "punctuation", "whitespace"])


def read(problem: str, **raw):
    return get_problem(problem).read(raw.get)


def flaws(problem: str, **columns) -> list[str]:
    row = {"text": "a card is my loan", "text_pair": None, "label": None, "target": None, **columns}
    return list(get_problem(problem).find_flaws(row))


@pytest.mark.parametrize("problem", STRUCTURED)
def test_sound_rows_have_no_flaw(problem: str) -> None:
    asked = get_problem(problem)
    assert [asked.find_flaws(row) for row in structured_examples(problem, 12)] == [[]] * 12


@pytest.mark.parametrize("problem", STRUCTURED)
@given(kind=NOISES, rate=st.floats(0, 1), number=st.integers(0, 30))
def test_noise_keeps_every_target_sound(problem: str, kind: str, rate: float, number: int) -> None:
    asked, row = get_problem(problem), structured_examples(problem, number + 1)[-1]
    noisy = asked.noisy(
        row, lambda text, place: perturb(text, kind, rate, seed=0, example_id=place)
    )
    assert asked.find_flaws(noisy) == []
    assert noisy["label"] == row["label"]


@pytest.mark.parametrize("problem", sorted(PROBLEMS))
def test_noise_of_rate_0_changes_nothing(problem: str) -> None:
    rows = (
        structured_examples(problem, 5)
        if problem in STRUCTURED
        else [{"text": "a card", "text_pair": "b", "label": "x", "target": None}]
    )
    for row in rows:
        assert get_problem(problem).noisy(row, lambda text, _: text) == row


@pytest.mark.parametrize("problem", STRUCTURED)
def test_a_request_holds_what_the_example_held(problem: str) -> None:
    asked = get_problem(problem)
    for row in structured_examples(problem, 6):
        again = asked.example(asked.request(row))
        assert again.text == row["text"]
        assert again.text_pair == row["text_pair"]
        if problem == "relation_extraction":
            assert again.target == row["target"]


def test_noise_in_a_tagged_sentence_keeps_word_for_word() -> None:
    row = structured_examples("ner", 1)[0]
    noisy = get_problem("ner").noisy(row, lambda text, _: text[1:])
    tokens, tags = tokens_and_tags(noisy["target"])
    assert tags == tokens_and_tags(row["target"])[1]
    assert tokens == [t[1:] or t for t in tokens_and_tags(row["target"])[0]]
    assert noisy["text"] == " ".join(tokens)


def test_noise_moves_spans_with_their_words() -> None:
    text = "fire causes smoke"
    row = {"text": text, "text_pair": None, "label": "x", "target": spans_target((12, 17), (0, 4))}
    noisy = get_problem("relation_extraction").noisy(row, lambda part, _: part.replace("e", "eee"))
    head, tail = spans(noisy["target"])
    assert (noisy["text"][slice(*head)], noisy["text"][slice(*tail)]) == ("smokeee", "fireee")


@given(data=st.data())
def test_noise_moves_overlapping_spans_too(data) -> None:
    text = data.draw(st.text("ab ", min_size=4, max_size=12))
    places = st.integers(0, len(text) - 1)
    head, tail = (
        data.draw(places.flatmap(lambda s: st.tuples(st.just(s), st.integers(s + 1, len(text)))))
        for _ in range(2)
    )
    row = {"text": text, "text_pair": None, "label": "x", "target": spans_target(head, tail)}
    noisy = get_problem("relation_extraction").noisy(row, lambda part, _: part.replace("a", "aa"))
    for before, after in zip((head, tail), spans(noisy["target"]), strict=True):
        assert noisy["text"][slice(*after)] == text[slice(*before)].replace("a", "aa")


def test_noise_in_a_question_leaves_the_context_alone() -> None:
    row = structured_examples("question_answering", 1)[0]
    noisy = get_problem("question_answering").noisy(row, lambda text, _: text.upper())
    assert noisy == {**row, "text_pair": row["text_pair"].upper()}


def test_tags_of_another_scheme_are_rewritten_and_reported() -> None:
    content = read("ner", tokens=["New", "York"], tags=["I-loc", "I-loc"])
    assert content.repaired
    assert tokens_and_tags(content.target) == (["New", "York"], ["B-loc", "I-loc"])
    assert not read("ner", tokens=["a"], tags=["O"]).repaired


@pytest.mark.parametrize(
    ("tokens", "tags", "reason"),
    [
        (["a", "b"], ["O"], "lengths_differ"),
        (["a", " "], ["O", "O"], "token_empty"),
        (["a"], ["X-per"], "tag_malformed"),
    ],
)
def test_flaws_of_tagged_sentences(tokens, tags, reason: str) -> None:
    assert flaws("ner", target=read("ner", tokens=tokens, tags=tags).target) == [reason]
    assert flaws("ner") == ["target_missing"]


@pytest.mark.parametrize(
    ("head", "tail", "reason"),
    [
        ((2, 2), (0, 1), "span_empty"),
        ((2, 6), (12, 99), "span_outside"),
        ((2, 6), (2, 6), "spans_identical"),
    ],
)
def test_flaws_of_spans(head, tail, reason: str) -> None:
    assert flaws("relation_extraction", target=spans_target(head, tail)) == [reason]
    assert flaws("relation_extraction") == ["target_missing"]


@pytest.mark.parametrize(
    ("found", "question", "reasons"),
    [
        ([{"text": "card", "start": 3}], "what", ["answer_misplaced"]),
        ([{"text": "", "start": 0}], "what", ["answer_empty"]),
        ([{"text": "card", "start": 2}], " ", ["question_missing"]),
        ([], "what", []),
    ],
)
def test_flaws_of_questions(found, question: str, reasons: list[str]) -> None:
    target = json.dumps({"answers": found})
    assert flaws("question_answering", text_pair=question, target=target) == reasons


@pytest.mark.parametrize(
    "found",
    [
        [{"text": "card", "start": 2}],
        [{"text": "card", "answer_start": 2}],
        {"text": ["card"], "answer_start": [2]},
        '[{"text": "card", "answer_start": 2}]',
    ],
)
def test_answers_are_read_from_every_common_form(found) -> None:
    content = read("question_answering", context="a card", question="what", answers=found)
    assert answers(content.target) == [("card", 2)]


@pytest.mark.parametrize(
    ("problem", "raw"),
    [
        ("ner", {"tokens": 3, "tags": ["O"]}),
        ("ner", {"tokens": ["a", None], "tags": ["O", "O"]}),
        ("relation_extraction", {"text": "a", "head_span": [1], "tail_span": [0, 1]}),
        ("relation_extraction", {"text": "a", "head_span": "x", "tail_span": [0, 1]}),
        ("question_answering", {"context": "a", "question": "b", "answers": "c"}),
        ("question_answering", {"context": "a", "question": "b", "answers": [{"text": "a"}]}),
        ("translation", {"text": "a", "target": 3}),
        ("summarisation", {"text": "a", "target": ["b", None]}),
        ("dialogue", {"messages": [{"who": "x"}]}),
        ("dialogue", {"messages": 3}),
        ("response_selection", {"messages": "a", "candidates": ["b", "c"], "right": "d"}),
    ],
)
def test_a_field_of_the_wrong_kind_is_set_aside(problem: str, raw) -> None:
    with pytest.raises(NotAValueError):
        read(problem, **raw)


def test_the_generated_rows_are_of_every_kind() -> None:
    rows = structured_rows("question_answering", 8)
    assert sum(not row["answers"] for row in rows) == 2


@pytest.mark.parametrize(
    ("problem", "target", "reasons"),
    [
        ("translation", None, ["target_missing"]),
        ("translation", [], ["target_empty"]),
        ("translation", ["good", " "], ["target_empty"]),
        ("translation", ["caf\ufffd"], ["target_damaged"]),
        ("translation", ["a card  is my loan"], ["untranslated"]),
        ("translation", ["eine Karte"], []),
        ("summarisation", ["a card is my loan "], ["summary_is_document"]),
        ("summarisation", ["a card"], []),
    ],
)
def test_flaws_of_texts_to_be_written(problem: str, target, reasons: list[str]) -> None:
    assert flaws(problem, target=None if target is None else texts_target(target)) == reasons


def test_a_name_may_stay_as_it_is() -> None:
    assert flaws("translation", text="New York", target=texts_target(["New York"])) == []


@pytest.mark.parametrize(
    ("problem", "text", "target", "remarks"),
    [
        ("translation", "a card", "eine Karte", []),
        ("translation", "a card", "x" * 100, ["length_ratio_odd"]),
        ("translation", "x" * 100, "a card", ["length_ratio_odd"]),
        ("summarisation", "a card", "a longer card", ["summary_not_shorter"]),
        ("summarisation", "a longer card", "a card", []),
    ],
)
def test_what_is_odd_is_remarked(problem: str, text: str, target: str, remarks) -> None:
    row = {"text": text, "target": texts_target([target])}
    assert get_problem(problem).find_remarks(row) == remarks


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("one", ["one"]),
        (["one", "two"], ["one", "two"]),
        ('["one", "two"]', ["one", "two"]),
        ("[sic] one", ["[sic] one"]),
        ("[1]", ["[1]"]),
    ],
)
def test_one_or_more_texts_are_read_from_every_common_form(target, found) -> None:
    assert references(read("translation", text="a", target=target).target) == found


def talk(*turns: str) -> list[dict[str, str]]:
    return [
        {"role": "user" if i % 2 == 0 else "assistant", "content": t} for i, t in enumerate(turns)
    ]


def test_the_last_message_is_the_reply_unless_a_column_holds_it() -> None:
    content = read("dialogue", messages=talk("hi", "hello", "my card", "which one"))
    assert content.text == "user: hi\nassistant: hello\nuser: my card"
    assert references(content.target) == ["which one"]
    content = read("dialogue", messages=talk("hi"), target=["hello", "good day"])
    assert (content.text, references(content.target)) == ("user: hi", ["hello", "good day"])
    assert read("dialogue", messages=talk("hi", "hello", "my card")).target is None


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}],
        [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}],
        [{"speaker": "USER", "text": "hi"}, {"speaker": "SYSTEM", "text": "hello"}],
        '[{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]',
    ],
)
def test_conversations_are_read_from_every_common_form(messages) -> None:
    content = read("dialogue", messages=messages)
    assert (content.text, references(content.target)) == ("user: hi", ["hello"])


@pytest.mark.parametrize(
    ("messages", "reasons"),
    [
        (talk("hi"), []),
        (talk("hi", " ", "my card"), ["turn_empty"]),
        ([{"role": "tool", "content": "x"}, *talk("hi")], ["role_unknown"]),
        ([{"role": "system", "content": "x"}], ["nothing_asked"]),
    ],
)
def test_flaws_of_conversations(messages, reasons: list[str]) -> None:
    assert (
        flaws("dialogue", target=read("dialogue", messages=messages, target="x").target) == reasons
    )
    chosen = read("response_selection", messages=messages, candidates=["a", "b"], right=1)
    assert flaws("response_selection", target=chosen.target) == reasons


@pytest.mark.parametrize(
    ("candidates", "right", "reasons"),
    [
        (["a", "b"], 1, []),
        (["a", "b"], "b", []),
        (["a"], 0, ["too_few_candidates"]),
        (["a", " "], 0, ["candidate_empty"]),
        (["a", "b", "a "], 0, ["candidate_repeated"]),
        (["a", "b"], 2, ["right_outside"]),
    ],
)
def test_flaws_of_candidates(candidates, right, reasons: list[str]) -> None:
    content = read("response_selection", messages="hi", candidates=candidates, right=right)
    assert flaws("response_selection", target=content.target) == reasons


def test_a_reply_that_was_said_before_is_remarked() -> None:
    content = read("dialogue", messages=talk("hi", "hi"))
    assert get_problem("dialogue").find_remarks({"target": content.target}) == ["reply_repeats"]


def test_noise_in_a_conversation_is_in_what_the_user_says() -> None:
    content = read("dialogue", messages=talk("hi", "hello", "my card", "which one"))
    row = {"text": content.text, "target": content.target}
    noisy = get_problem("dialogue").noisy(row, lambda text, _: text.upper())
    assert noisy["text"] == "user: HI\nassistant: hello\nuser: MY CARD"
    assert references(noisy["target"]) == ["which one"]
