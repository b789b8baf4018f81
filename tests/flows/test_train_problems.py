"""Every problem through the whole flow: init, prepare, train, evaluate, gate, register, promote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from builders import structured_rows, write_jsonl
from tiny_models import WORDS, save_tiny_model
from tiny_writers import save_tiny_writer

from flows.attack_goals import goal_of
from flows.commands.attack import attack_version
from flows.commands.evaluate import evaluate_version, lines
from flows.commands.init import init_workspace
from flows.commands.train import run_train, summarize
from flows.pipeline import call_directly
from flows.workspace import Workspace
from pipeline_steps.attack_types import AttackResult
from pipeline_steps.evaluation.attacks.drift import word_overlap
from pipeline_steps.evaluation.attacks.goals import Answer
from pipeline_steps.judging_params import AttackParams
from pipeline_steps.problem_defaults import HEADLINES
from pipeline_steps.problems.catalog import get_problem

pytestmark = pytest.mark.slow


WRITERS = {"translation": "t5", "summarisation": "gpt2", "dialogue": "llama"}


def base_model(path: Path, problem: str) -> Path:
    if problem not in WRITERS:
        return save_tiny_model(path)
    return save_tiny_writer(path, WRITERS[problem], words=WORDS, chat=problem == "dialogue")


def workspace(root: Path, problem: str) -> Path:
    files = {
        name: write_jsonl(root / f"{name}.jsonl", structured_rows(problem, n))
        for name, n in (("train", 160), ("later", 60))
    }
    init_workspace(
        root / "w",
        problem=problem,
        files={"train": files["train"]},
        suites=[f"later={files['later']}"],
    )
    params = yaml.safe_load((root / "w/params.yaml").read_text())
    params["finetune"] |= {
        "base_model": str(base_model(root / "base", problem)), "epochs": 20, "precision": "fp32",
        "learning_rate": 3e-3, "batch_tokens": 128, "max_length": 48, "stride": 8,
    }  # fmt: skip
    params["gate"] |= {"min_rows": 5, "floors": {f"test/{HEADLINES[problem][0]}": 0.2}}
    params["finetune"]["generation"] |= {"max_new_tokens": 5, "validation_rows": 5}
    params["split"]["near_duplicates"]["enabled"] = False
    (root / "w/params.yaml").write_text(yaml.safe_dump(params))
    return root / "w"


@pytest.mark.parametrize(
    "problem",
    [
        "multi_label_classification",
        "ner",
        "relation_extraction",
        "question_answering",
        "response_selection",
        *WRITERS,
    ],
)
def test_a_problem_goes_through_the_whole_flow(tmp_path: Path, problem: str) -> None:
    """PROMOTE says that the registered model repeated its predictions in a fresh process."""
    root = workspace(tmp_path, problem)
    result = run_train(root, announced=False)
    assert result.verdict == "PROMOTE"
    headlines = HEADLINES[problem]
    for suite in ("test", "later", "typos"):
        for metric in headlines:
            found = result.metrics[f"{suite}/{metric}"]
            assert found["ci_low"] <= found["value"] <= found["ci_high"]
    opened = Workspace.open(root)
    assert headlines[0] in summarize(opened, result)
    html = Path(result.report).read_text()
    if problem in (*WRITERS, "response_selection"):
        assert "confusions" not in html  # a text is not confused with another
    assert "the champion" not in html.split("<h2>")[1]
    reports = evaluate_version(opened, None, call=call_directly)
    assert reports[0].headline == headlines[0]
    assert headlines[0] in lines(reports)
    assert run_train(root, announced=False).reused
    if problem in WRITERS:
        attack_what_is_read(opened, problem)


def attack_what_is_read(workspace: Workspace, problem: str) -> None:
    """Attack source, document or the prompt of a causal model: to a low score, and to drift."""
    results = attacked(workspace)
    goal = goal_of(get_problem(problem), (), AttackParams())
    for result in results:
        answer = Answer(result.truth, result.prediction, 0.5)
        assert goal.judge(answer).broken == (result.status in ("broken", "wrong"))
        assert (result.perturbed != result.original) or not result.edited
    assert any(result.n_queries for result in results)
    drifted = attacked(workspace, goal="drift", bound=0.5)
    assert {result.status for result in drifted} <= {"broken", "unknown"}
    assert any(result.status == "broken" for result in drifted)
    for result in drifted:
        before, after = (
            json.loads(written)["text"] for written in (result.clean_prediction, result.prediction)
        )
        assert (word_overlap(before, after) <= 0.5) == (result.status == "broken")


def attacked(workspace: Workspace, **settings: Any) -> tuple[AttackResult, ...]:
    """Return what becomes of some rows, twice the same."""
    asked = {"recipes": ("deepwordbug",), "n_examples": 8, "max_queries": 60, **settings}
    first = attack_version(workspace, None, asked, call=call_directly).attacks[0]
    assert attack_version(workspace, None, asked, call=call_directly).attacks[0] == first
    return first.results
