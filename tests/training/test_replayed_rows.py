"""Earlier rows behind new ones: what a problem reads of a row beside its text comes along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from builders import structured_examples
from objective_runs import dataset, run
from tiny_models import save_tiny_model
from tiny_writers import save_tiny_writer

from pipeline_steps.inference.examples_file import rows_of
from pipeline_steps.inference.learners.catalog import get_learner
from pipeline_steps.inference.tokenization import load_tokenizer
from pipeline_steps.problems.problem import Content
from pipeline_steps.training.data import EncodedDataset
from pipeline_steps.training.replaying import ReplayedDataset


def encoded(learner: Any, tokenizer: Any, rows: list[dict[str, Any]]) -> EncodedDataset:
    examples = rows_of([Content(row["text"], target=row["target"]) for row in rows])
    windows = learner.encode(tokenizer, examples, 48, 8)
    return EncodedDataset(windows, learner.targets(windows, examples, ()))


def base_of(path: Path, problem: str) -> Path:
    return save_tiny_writer(path, "t5") if problem == "translation" else save_tiny_model(path)


@pytest.mark.parametrize("problem", ["response_selection", "translation"])
def test_rows_read_apart_and_together_have_the_same_lengths_and_ids(problem, tmp_path) -> None:
    base = base_of(tmp_path, problem)
    learner, tokenizer = get_learner(problem, selector="bi", path=base), load_tokenizer(base)
    rows = structured_examples(problem, 12)
    whole = encoded(learner, tokenizer, rows)
    parts = [encoded(learner, tokenizer, some) for some in (rows[:7], rows[7:])]
    found = ReplayedDataset(parts[0], parts[1], share=0.5).encoded
    assert found.token_ids == whole.encoded.token_ids
    assert found.lengths == whole.encoded.lengths
    assert found.lengths != [len(ids) for ids in found.token_ids]
    assert {*map(tuple, found.ids_read)} == {*map(tuple, whole.encoded.ids_read)}


def test_a_bi_encoder_learns_earlier_rows_with_their_candidates(base, tmp_path) -> None:
    """Words that only candidates have learn too; they are read as often as the conversations."""
    problem = "response_selection"
    rows = [dataset(tmp_path, problem, name, n) for name, n in (("train", 24), ("valid", 8))]
    objective = {"replay": {"examples": str(rows[1].path), "share": 0.5}}
    trained = run(base, {problem: rows}, tmp_path, problem, objective=objective)
    plain = run(base, {problem: rows}, tmp_path / "plain", problem)
    assert trained.training["n_tokens"] == plain.training["n_tokens"] * 32 // 24
    assert trained.training["n_truncated"] == 0
