"""The data stages on rows whose answers are more than a label."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders import (
    STRUCTURED,
    ingest_params,
    structured_examples,
    structured_rows,
    write_examples,
    write_jsonl,
)

from pipeline_steps.data_params import SplitParams, SuitesParams, ValidateParams
from pipeline_steps.data_preparation.ingest import ingest
from pipeline_steps.data_preparation.meanings import meaning
from pipeline_steps.data_preparation.repeats import Repeats, find_repeats
from pipeline_steps.data_preparation.split import split
from pipeline_steps.data_preparation.suites import build_suites
from pipeline_steps.data_preparation.validate import validate, validate_examples
from pipeline_steps.errors import ValidationBlockedError
from pipeline_steps.params import Params
from pipeline_steps.problem_defaults import COLUMNS, HEADLINES
from pipeline_steps.problems.catalog import PROBLEMS, get_problem
from pipeline_steps.problems.ner import tokens_and_tags


def columns(problem: str) -> dict[str, str | None]:
    return {"text": None, "label": None, **COLUMNS[problem]}


def ingested(root: Path, problem: str, rows: list[dict], **settings) -> list[dict]:
    write_jsonl(root / "data/raw/in.jsonl", rows)
    params = ingest_params({"path": "data/raw/in.jsonl"}, columns={**columns(problem), **settings})
    return pq.read_table(ingest(params, root, problem=problem).path).to_pylist()


@pytest.mark.parametrize("problem", STRUCTURED)
def test_raw_rows_become_the_examples_that_the_problem_reads(tmp_path, problem: str) -> None:
    found = ingested(tmp_path, problem, structured_rows(problem, 12))
    names = ("text", "text_pair", "target", "label")
    assert [{n: row[n] for n in names} for row in found] == structured_examples(problem, 12)


@pytest.mark.parametrize("problem", STRUCTURED)
def test_the_stages_follow_each_other(tmp_path, problem: str) -> None:
    ingested(tmp_path, problem, structured_rows(problem, 80))
    report = validate(ValidateParams(), problem, tmp_path)
    assert report.success
    parts = split(SplitParams(near_duplicates={"enabled": False}), tmp_path, problem)
    assert sum(parts.values()) == report.n_kept
    assert build_suites(SuitesParams(), tmp_path, problem) == ["typos"]
    noisy = pq.read_table(tmp_path / "data/suites/typos.parquet").to_pylist()
    asked = get_problem(problem)
    assert [asked.find_flaws(row) for row in noisy] == [[]] * len(noisy)
    test = pq.read_table(tmp_path / "data/splits/test.parquet").to_pylist()
    assert [row["label"] for row in noisy] == [row["label"] for row in test]


def test_flawed_rows_are_set_aside_with_their_reason(tmp_path: Path) -> None:
    rows = structured_rows("ner", 80)
    rows[3] = {"tokens": ["a", "b"], "tags": ["O"]}
    rows[5] = {"tokens": ["a"], "tags": ["nonsense"]}
    rows[7] = {"tokens": ["a"], "tags": 5}
    rows[9] = {"tokens": ["New", "York"], "tags": ["I-loc", "I-loc"]}
    found = ingested(tmp_path, "ner", rows)
    assert tokens_and_tags(found[8]["target"])[1] == ["B-loc", "I-loc"]
    report = validate(ValidateParams(), "ner", tmp_path)
    assert report.quarantined == {"lengths_differ": 1, "tag_malformed": 1, "tags_not_a_list": 1}
    warnings = {f.expectation: f.count for f in report.failures if f.severity == "warning"}
    assert warnings["tags_rewritten"] == 1
    assert {f.column for f in report.failures if f.severity == "critical"} == {"target"}
    content = json.loads((tmp_path / "data/ingested/report.json").read_text())
    assert content["rejected"] == {"tags_not_a_list": 1}


def test_sentences_of_a_conll_file_are_tagged_rows(tmp_path: Path) -> None:
    path = tmp_path / "in.conll"
    path.write_text("EU NNP I-ORG\nrejects VBZ O\n\nPeter NNP I-PER\nBlackburn NNP I-PER\n")
    params = ingest_params({"path": "in.conll"}, columns=columns("ner"))
    found = pq.read_table(ingest(params, tmp_path, problem="ner").path).to_pylist()
    assert [tokens_and_tags(row["target"])[1] for row in found] == [
        ["B-ORG", "O"], ["B-PER", "I-PER"],
    ]  # fmt: skip


def test_tags_that_are_numbers_are_read_by_their_declared_names(tmp_path: Path) -> None:
    features = {
        "tags": {"_type": "List", "feature": {"_type": "ClassLabel", "names": ["O", "B-x"]}}
    }
    table = pa.table({"tokens": [["a", "b"]], "tags": [[0, 1]]}).replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    pq.write_table(table, tmp_path / "in.parquet")
    params = ingest_params({"path": "in.parquet"}, columns=columns("ner"))
    found = pq.read_table(ingest(params, tmp_path, problem="ner").path).to_pylist()
    assert tokens_and_tags(found[0]["target"]) == (["a", "b"], ["O", "B-x"])


def test_a_sentence_with_an_unknown_type_is_set_aside(tmp_path: Path) -> None:
    ingested(tmp_path, "ner", structured_rows("ner", 80))
    report = validate(ValidateParams(labels=("work",), max_quarantined_share=1.0,
                                     selective_min_excess=1.0), "ner", tmp_path)  # fmt: skip
    assert report.quarantined == {"labels_unknown": 40}


def test_a_refusal_says_what_a_reason_means_and_where_to_look(tmp_path: Path) -> None:
    rows = [{"tokens": ["a", str(i)], "tags": ["O", "person"]} for i in range(30)]
    ingested(tmp_path, "ner", rows)
    said = r"tag_malformed: tags are O, B-TYPE and I-TYPE.*; look at data/raw/in\.jsonl:1\n"
    with pytest.raises(ValidationBlockedError, match=said):
        validate(ValidateParams(), "ner", tmp_path)


def test_a_refusal_says_what_a_field_holds_of_rows_that_ingest_could_not_read(tmp_path) -> None:
    rows = [{"context": f"a {i}", "question": "what?", "answers": "a"} for i in range(30)]
    ingested(tmp_path, "question_answering", rows)
    with pytest.raises(ValidationBlockedError, match=r"answers_not_a_list: answers is a list of"):
        validate(ValidateParams(), "question_answering", tmp_path)


def test_questions_of_which_none_has_an_answer_are_refused(tmp_path: Path) -> None:
    rows = structured_rows("question_answering", 40)
    ingested(tmp_path, "question_answering", [{**row, "answers": []} for row in rows])
    with pytest.raises(ValidationBlockedError, match="no question that is left has an answer"):
        validate(ValidateParams(), "question_answering", tmp_path)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_every_flaw_of_a_problem_has_a_meaning(problem: str) -> None:
    assert [flaw for flaw in get_problem(problem).flaws if meaning(flaw) is None] == []


def test_texts_without_any_entity_are_refused(tmp_path: Path) -> None:
    rows = [{"tokens": ["a", str(i)], "tags": ["O", "O"]} for i in range(30)]
    ingested(tmp_path, "ner", rows)
    with pytest.raises(ValidationBlockedError, match="0 labels are left; ner needs 1"):
        validate(ValidateParams(), "ner", tmp_path)


def test_questions_on_one_context_stay_on_one_side(tmp_path: Path) -> None:
    content = [
        {**row, "text_pair": f"{row['text_pair']} {n}"}
        for row in structured_examples("question_answering", 60)
        for n in range(3)
    ]
    write_examples(tmp_path / "data/validated/examples.parquet", content)
    split(SplitParams(near_duplicates={"enabled": False}), tmp_path, "question_answering")
    sides = [
        {row["text"] for row in pq.read_table(tmp_path / f"data/splits/{name}.parquet").to_pylist()}
        for name in ("train", "valid", "test")
    ]
    assert not sides[0] & (sides[1] | sides[2])
    assert not sides[1] & sides[2]


def test_a_group_column_decides_instead_of_the_context(tmp_path: Path) -> None:
    content = [
        {**row, "text_pair": f"q{n}", "group": f"{row['text']}{n}"}
        for row in structured_examples("question_answering", 60)
        for n in range(3)
    ]
    write_examples(tmp_path / "data/validated/examples.parquet", content)
    split(SplitParams(near_duplicates={"enabled": False}), tmp_path, "question_answering")
    sides = [
        {row["text"] for row in pq.read_table(tmp_path / f"data/splits/{name}.parquet").to_pylist()}
        for name in ("train", "test")
    ]
    assert sides[0] & sides[1]


def n_conflicting(repeats: Repeats) -> int:
    """Return how many rows contradict another one, where all are kept."""
    return int(repeats.conflicting(np.ones(len(repeats.texts), dtype=bool)).sum())


def test_two_relations_in_one_sentence_are_no_contradiction(tmp_path: Path) -> None:
    row = structured_examples("relation_extraction", 1)[0]
    other = {**row, "target": '{"head": [0, 3], "tail": [4, 8]}', "label": "other"}
    path = write_examples(tmp_path / "in.parquet", [row, other])
    assert n_conflicting(find_repeats(path, 10, target_is_input=True)) == 0
    assert n_conflicting(find_repeats(path, 10)) == 2


def test_the_same_sentence_with_other_tags_is_a_contradiction(tmp_path: Path) -> None:
    row = structured_examples("ner", 1)[0]
    other = {**row, "target": row["target"].replace("B-work", "B-debt")}
    path = write_examples(tmp_path / "in.parquet", [row, other, row])
    found = find_repeats(path, 10)
    assert found.masks["duplicate_row"].tolist() == [False, False, True]
    assert n_conflicting(found) == 3


def test_what_is_odd_is_a_warning_and_sets_no_row_aside(tmp_path: Path) -> None:
    content = structured_examples("translation", 40)
    content[3] = {**content[3], "text": "card " * 90}
    path = write_examples(tmp_path / "in.parquet", content)
    report = validate_examples(
        path, ValidateParams(), "translation", tmp_path / "out", quarantine_directory=tmp_path / "q"
    )
    [found] = report.failures
    assert (found.expectation, found.count, found.severity) == ("length_ratio_odd", 1, "warning")
    assert found.examples == ("r3",)
    assert report.n_kept == 40


@pytest.mark.parametrize("problem", STRUCTURED)
def test_a_target_that_is_not_there_is_a_flaw(tmp_path, problem: str) -> None:
    content = structured_examples(problem, 40)
    content[0] = {**content[0], "target": None}
    path = write_examples(tmp_path / "in.parquet", content)
    report = validate_examples(
        path, ValidateParams(), problem, tmp_path / "out", quarantine_directory=tmp_path / "q"
    )
    assert report.quarantined["target_missing"] == 1


def test_params_of_every_problem_name_their_own_columns_and_metrics() -> None:
    for problem in COLUMNS:
        params = Params.model_validate(
            {"problem": problem, "ingest": {"sources": [{"path": "a.jsonl"}]}}
        )
        set_ones = {k: v for k, v in params.ingest.columns.model_dump().items() if v is not None}
        assert set_ones == COLUMNS[problem]
        [axis] = params.gate.floors
        assert params.gate.superiority == ("test/headline",)
        assert axis == f"test/{HEADLINES[problem][0]}"
        assert params.finetune.early_stopping_metric in (HEADLINES[problem][0], "loss")
