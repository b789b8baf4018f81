"""Attacks on models that write, over-fitted so that there is something to break."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from builders import structured_examples, structured_rows, write_examples, write_jsonl
from foreign_models import NO_OPTIONS
from tiny_models import WORDS
from tiny_writers import save_tiny_writer

from flows.attack_goals import goal_of
from flows.commands.judge_model import attack_any
from flows.pipeline import call_directly
from pipeline_steps.attack_types import AttackResult
from pipeline_steps.digests import file_digest
from pipeline_steps.evaluation.attacks.constraints import edit_distance
from pipeline_steps.evaluation.attacks.drift import word_overlap
from pipeline_steps.evaluation.attacks.goals import Answer
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.inference.predictor import Predictor
from pipeline_steps.judging_params import AttackParams
from pipeline_steps.noise.word_forms import STOP_WORDS
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.training.finetune import finetune
from pipeline_steps.types import DatasetRef

WRITERS = {"translation": "t5", "summarisation": "gpt2", "dialogue": "llama"}
N_ROWS = 10
MAX_QUERIES = 40
EDIT_BUDGET = 30
"""Of ``deepwordbug``: insertions, deletions and substitutions in a row."""
_BOUND = 0.5


@pytest.fixture(scope="module", params=sorted(WRITERS))
def writer(request, tmp_path_factory) -> tuple[str, Path, Path]:
    """Return a problem, a model that knows its rows by heart, and these rows."""
    problem = request.param
    root = tmp_path_factory.mktemp(problem)
    data = write_jsonl(root / "rows.jsonl", structured_rows(problem, N_ROWS))
    return problem, taught_by_heart(root, problem), data


def taught_by_heart(root: Path, problem: str) -> Path:
    base = save_tiny_writer(
        root / "base", WRITERS[problem], words=WORDS, chat=problem == "dialogue"
    )
    examples = structured_examples(problem, N_ROWS)
    once, often = (
        dataset(root / f"{name}.parquet", rows)
        for name, rows in (("once", examples), ("often", examples * 10))
    )
    params = FinetuneParams(
        base_model=str(base), precision="fp32", max_length=48, early_stopping_metric="loss",
        learning_rate=1e-2, batch_tokens=256, epochs=15, early_stopping_patience=None,
        generation={"max_new_tokens": 5, "validation_rows": 1},
    )  # fmt: skip
    return finetune(
        often, once, params, root / "checkpoint", work=root / "work", problem=problem
    ).path


def dataset(path: Path, rows: list[dict[str, Any]]) -> DatasetRef:
    write_examples(path, rows)
    digest = file_digest(path, "md5")
    return DatasetRef(
        name=path.stem, split=path.stem, path=path, digest=digest, n_examples=len(rows)
    )


def attacked(model: Path, problem: str, data: Path, **settings: Any) -> tuple[AttackResult, ...]:
    """Return what becomes of the rows, asked as ``holdfast attack --model`` asks."""
    asked = {**NO_OPTIONS, "model": str(model), "data": data, "problem": problem}
    wanted = {
        "recipes": ("deepwordbug",),
        "n_examples": N_ROWS,
        "max_queries": MAX_QUERIES,
        **settings,
    }
    return attack_any(asked, wanted, call=call_directly).attacks[0].results


def said(written: str) -> str:
    return str(json.loads(written)["text"])


def keeps_within_its_budgets(result: AttackResult) -> None:
    assert result.n_queries <= MAX_QUERIES
    assert (result.perturbed == result.original) == (not result.edited)
    pairs = zip(result.original.split(), result.perturbed.split(), strict=True)
    changed = [(old, new) for old, new in pairs if old != new]
    assert len(changed) == result.n_changed == len(result.edited)
    assert sum(edit_distance(*pair) for pair in changed) <= EDIT_BUDGET
    assert not {old for old, _ in changed} & STOP_WORDS


def test_an_attack_breaks_rows_that_the_model_knew_by_heart(writer) -> None:
    problem, model, data = writer
    goal = goal_of(get_problem(problem), (), AttackParams(bound=_BOUND))
    results = attacked(model, problem, data, bound=_BOUND)
    assert len(results) == N_ROWS
    for result in results:
        keeps_within_its_budgets(result)
        before, after = (
            goal.judge(Answer(result.truth, written, 0.5)).broken
            for written in (result.clean_prediction, result.prediction)
        )
        expected = "wrong" if before else "broken" if after else "unknown"
        assert result.status == expected
    statuses = [result.status for result in results]
    assert statuses.count("broken") > 1
    assert statuses.count("wrong") <= 1


def test_an_attack_drives_a_model_away_from_what_it_wrote(writer) -> None:
    """And what is said to break a row breaks it when the model is asked anew."""
    problem, model, data = writer
    results = attacked(model, problem, data, goal="drift", bound=_BOUND)
    assert {result.status for result in results} <= {"broken", "unknown"}
    assert any(result.status == "broken" for result in results)
    for result in results:
        keeps_within_its_budgets(result)
        overlap = word_overlap(said(result.clean_prediction), said(result.prediction))
        assert (overlap <= _BOUND) == (result.status == "broken")
    if problem != "dialogue":  # whose turns are more than the text that is shown
        asked = [{"text": result.perturbed} for result in results]
        name = get_problem(problem).outputs[0].name
        answers = Predictor.from_checkpoint(model).answer(asked)
        assert [answer[name] for answer in answers] == [
            said(result.prediction) for result in results
        ]
