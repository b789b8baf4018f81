"""Laws of rewritten suites: seeded, nothing at rate 0, and the right answer is still known."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from builders import structured_examples, write_examples
from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.data_params import RewrittenParams, SuitesParams
from pipeline_steps.data_preparation.rewritten import rewriter, targets_of
from pipeline_steps.data_preparation.suites import build_suites
from pipeline_steps.errors import ConfigurationError, DataError
from pipeline_steps.params import parse_params
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.problems.distracted import gaps_between_sentences, with_sentence
from pipeline_steps.problems.entities import as_bio2, entities
from pipeline_steps.problems.entity_swap import entity_pool, with_other_entities
from pipeline_steps.problems.ner import target_of as tags_target
from pipeline_steps.problems.ner import tokens_and_tags
from pipeline_steps.problems.question_answering import answers
from pipeline_steps.problems.question_answering import target_of as answers_target

TRAINED = [
    (["Ada", "met", "Alan", "Turing"], ["B-per", "O", "B-per", "I-per"]),
    (["Paris", "and", "New", "York", "City"], ["B-loc", "O", "B-loc", "I-loc", "I-loc"]),
    (["Grace"], ["B-per"]),
]
kinds_of_words = st.sampled_from(["O", "B-per", "I-per", "B-loc", "I-loc", "B-org"])
words = st.lists(st.tuples(st.sampled_from(["Ada", "Rome", "saw", "it"]), kinds_of_words),
                 min_size=1, max_size=9)  # fmt: skip
rates = st.floats(0, 1)


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [{"text": " ".join(t), "target": tags_target(t, tags)} for t, tags in TRAINED]
    return write_examples(tmp_path_factory.mktemp("train") / "train.parquet", rows)


def tagged(content: list[tuple[str, str]], row: str = "r") -> dict:
    tokens = [word for word, _ in content]
    tags = as_bio2([tag for _, tag in content])
    return {"example_id": row, "text": " ".join(tokens), "target": tags_target(tokens, tags)}


def swapped(row: dict, rate: float, train: Path, seed: int = 0) -> dict:
    suite = RewrittenParams(name="a", kind="entity_swap", rate=rate)
    return rewriter(suite, seed, targets_of(train))(row)


def asked(context: str, question: str, *found: tuple[str, int], row: str = "r") -> dict:
    return {"example_id": row, "text": context, "text_pair": question,
            "target": answers_target(found)}  # fmt: skip


def distracted(row: dict, rate: float = 1.0, seed: int = 0) -> dict:
    suite = RewrittenParams(name="a", kind="distractor", rate=rate)
    return rewriter(suite, seed, ())(row)


@given(content=words, rate=rates)
def test_other_entities_have_the_same_types_and_all_other_words_stay(content, rate, train) -> None:
    row = tagged(content)
    new = swapped(row, rate, train)
    assert not get_problem("ner").find_flaws(new)
    (before, old), (after, tags) = tokens_and_tags(row["target"]), tokens_and_tags(new["target"])
    assert new["text"] == " ".join(after)
    assert [e[0] for e in entities(tags)] == [e[0] for e in entities(old)]
    outside = [[w for w, t in zip(*pair, strict=True) if t == "O"] for pair in
               ((before, old), (after, tags))]  # fmt: skip
    assert outside[0] == outside[1]
    known = {(kind, said) for kind, all_ in pool(train).items() for said in all_}
    for (kind, start, end), (_, first, last) in zip(entities(tags), entities(old), strict=True):
        said = tuple(after[start:end])
        assert said == tuple(before[first:last]) or (kind, said) in known


def pool(train: Path) -> dict:
    return entity_pool(pq.read_table(train)["target"].to_pylist())


@given(content=words)
def test_rate_0_changes_nothing_and_a_row_reads_the_same_at_the_same_seed(content, train) -> None:
    row = tagged(content)
    assert swapped(row, 0.0, train) == row
    assert swapped(row, 1.0, train, seed=3) == swapped(row, 1.0, train, seed=3)


@given(content=words, low=rates, high=rates)
def test_a_lower_rate_swaps_a_part_of_what_a_higher_one_does(content, low, high, train) -> None:
    row = tagged(content)
    states = [
        [tuple(tokens[a:b]) for _, a, b in entities(tags)]
        for tokens, tags in (
            tokens_and_tags(swapped(row, rate, train)["target"])
            for rate in (0.0, min(low, high), max(low, high))
        )
    ]
    for before, less, more in zip(*states, strict=True):
        assert less in (before, more)


def test_an_entity_that_is_named_twice_is_the_same_other_one_twice_and_types_without_others_stay(
    train: Path,
) -> None:
    row = tagged([("Ada", "B-per"), ("saw", "O"), ("Ada", "B-per"), ("at", "O"), ("UN", "B-org")])
    tokens, tags = tokens_and_tags(swapped(row, 1.0, train)["target"])
    said = [tuple(tokens[start:end]) for _, start, end in entities(tags)]
    assert said[0] == said[1] != ("Ada",)
    assert said[2] == ("UN",)


def test_seeds_and_rows_draw_other_entities(train: Path) -> None:
    rows = [tagged([("Rome", "B-loc")], row=f"r{i}") for i in range(12)]
    made = [[swapped(row, 1.0, train, seed)["text"] for row in rows] for seed in (0, 1)]
    assert made[0] != made[1]
    assert set(made[0]) == {"Paris", "New York City"}


def test_what_is_chosen_for_an_entity_takes_its_tags_along() -> None:
    row = tagged([("in", "O"), ("Rome", "B-loc"), ("Ada", "B-per")])
    new = with_other_entities(
        row, {"loc": [("New", "York")], "per": [("Ada",)]}, lambda _kind, _said, others: others[0]
    )
    expected = (["in", "New", "York", "Ada"], ["O", "B-loc", "I-loc", "B-per"])
    assert tokens_and_tags(new["target"]) == expected


CONTEXT = "The mill was built in 1840. Anna Berg ran it! Was it loud? It closed in 1911"
QUESTION = "When was the old mill of Anna Berg built?"


@given(
    start=st.integers(0, len(CONTEXT) - 1), length=st.integers(1, 30), row=st.integers(0, 50),
)  # fmt: skip
def test_answers_stand_where_they_are_said_to_and_the_sentence_holds_none(start, length, row):
    said = CONTEXT[start : start + length]
    before = asked(CONTEXT, QUESTION, (said, start), row=str(row))
    new = distracted(before)
    [(answer, place)] = answers(new["target"])
    assert answer == said
    assert new["text"][place : place + len(said)] == said
    assert new["text_pair"] == QUESTION
    if new == before:  # an answer such as "a" stands in every sentence
        assert len(said) <= 4
        return
    added = len(new["text"]) - len(CONTEXT)
    cuts = [i for i in range(len(CONTEXT) + 1) if new["text"][:i] + new["text"][i + added :]
            == CONTEXT]  # fmt: skip
    sentences = [new["text"][i : i + added].strip() for i in cuts]
    assert any(said.casefold() not in sentence.casefold() for sentence in sentences)
    assert any(sentence.endswith(".") and "mill" in sentence for sentence in sentences)


def test_a_sentence_may_stand_in_front_between_two_or_at_the_end() -> None:
    rows = [asked(CONTEXT, QUESTION, ("1840", 22), row=str(i)) for i in range(60)]
    made = [distracted(row)["text"] for row in rows]
    front = sum(not text.startswith("The mill") for text in made)
    end = sum(not text.endswith("1911") for text in made)
    assert front
    assert end
    assert front + end < 60
    assert made != [distracted(row, seed=1)["text"] for row in rows]


def test_no_place_for_a_sentence_is_inside_an_answer() -> None:
    assert gaps_between_sentences("It rains. It pours. ", [("rains. It pours", 3)]) == [0, 20]
    moved = with_sentence(asked("A. B.", "?", ("A", 0), ("B", 3)), "X.", 3)
    assert (moved["text"], answers(moved["target"])) == ("A. X. B.", [("A", 0), ("B", 6)])


@given(rate=rates, row=st.integers(0, 99))
def test_a_distractor_is_there_or_not_and_is_the_same_at_every_rate(rate: float, row: int) -> None:
    before = asked(CONTEXT, QUESTION, ("1911", 72), row=str(row))
    assert distracted(before, 0.0) == before
    assert distracted(before, rate) in (before, distracted(before, 1.0))


def test_a_question_without_an_answer_stays_one() -> None:
    new = distracted(asked(CONTEXT, QUESTION))
    assert new["text"] != CONTEXT
    assert answers(new["target"]) == []


@pytest.mark.parametrize(
    ("problem", "kind"), [("ner", "entity_swap"), ("question_answering", "distractor")]
)
def test_a_suite_holds_the_test_rows_under_the_same_ids_and_is_called_rewritten(
    problem: str, kind: str, tmp_path: Path
) -> None:
    rows = structured_examples(problem, 9)
    for name in ("valid", "test"):
        write_examples(tmp_path / f"data/splits/{name}.parquet", rows)
    other = {"text": "a play", "target": tags_target(["a", "play"], ["O", "B-work"])}
    train = [*rows, other] if problem == "ner" else rows
    write_examples(tmp_path / "data/splits/train.parquet", train)
    params = SuitesParams(noise=(), rewritten=(RewrittenParams(name="other", kind=kind),))
    assert build_suites(params, tmp_path, problem) == ["other"]
    manifest = json.loads((tmp_path / "data/suites/manifest.json").read_text())
    assert manifest == {
        "suites": [
            {"name": "other", "kind": "rewritten", "file": "other.parquet", "n_examples": 9}
        ],
        "noisy_valid": [],
    }
    made = pq.read_table(tmp_path / "data/suites/other.parquet")
    clean = pq.read_table(tmp_path / "data/splits/test.parquet")
    assert made["example_id"] == clean["example_id"]
    assert made["text"] != clean["text"]
    assert not any(get_problem(problem).find_flaws(row) for row in made.to_pylist())


def load(problem: str, **suites):
    values = {"problem": problem, "ingest": {"sources": [{"path": "a"}]}, "suites": suites}
    return parse_params(values, source="params.yaml")


@pytest.mark.parametrize(
    ("problem", "kind", "message"),
    [
        ("ner", "distractor", r"distractor is for question_answering.*\(entity_swap goes\)"),
        ("question_answering", "entity_swap", r"entity_swap is for ner.*\(distractor goes\)"),
        ("text_classification", "entity_swap", "none goes with it: remove the suite"),
        ("ner", "word_swap", "Input should be 'entity_swap' or 'distractor'"),
    ],
)
def test_a_suite_that_does_not_go_with_the_problem_is_refused(problem, kind, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load(problem, rewritten=[{"name": "a", "kind": kind}])


def test_the_name_of_a_noise_suite_or_a_held_out_one_is_taken(tmp_path: Path) -> None:
    suite = {"name": "a", "kind": "entity_swap"}
    with pytest.raises(ConfigurationError, match="2 suites are called a"):
        load("ner", rewritten=[suite], noise=[{"name": "a"}])
    for name in ("train", "valid", "test", "declared__a"):
        write_examples(tmp_path / f"data/splits/{name}.parquet", structured_examples("ner", 3))
    with pytest.raises(DataError, match="two suites are called a"):
        build_suites(load("ner", rewritten=[suite]).suites, tmp_path, "ner")
