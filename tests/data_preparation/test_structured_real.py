"""Public data sets are read without a mapping, and nearly all of their rows are sound."""

from __future__ import annotations

import gzip
import itertools
import json
from pathlib import Path

import pytest

from flows.commands.raw_columns import find_columns
from pipeline_steps.problems.catalog import get_problem

FILES = [
    ("ner", "wnut17/train.jsonl.gz"),
    ("ner", "wnut17/shift_official_test.jsonl.gz"),
    ("ner", "crossner/science_test.jsonl.gz"),
    ("relation_extraction", "semeval2010_task8/train.jsonl.gz"),
    ("question_answering", "squadshifts/train.jsonl.gz"),
    ("question_answering", "squadshifts/shift_amazon.jsonl.gz"),
]


@pytest.mark.parametrize(("problem", "name"), FILES)
def test_rows_of_public_sets_are_sound(external_datasets: Path, problem: str, name: str) -> None:
    path = external_datasets / name
    asked = get_problem(problem)
    columns = find_columns([path], {}, problem).model_dump()
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in itertools.islice(lines, 500)]
    flawed = 0
    for row in rows:
        content = asked.read(lambda field, row=row: row.get(columns[field] or ""))
        example = {"text": content.text, "text_pair": content.text_pair, "target": content.target}
        flawed += bool(asked.find_flaws(example))
        assert not content.repaired
    assert flawed <= 0.01 * len(rows)
