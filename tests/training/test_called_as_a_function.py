"""What `params.yaml` would be refused for is refused where finetune() is called as a function."""

from __future__ import annotations

import pytest
from objective_runs import dataset

from pipeline_steps.errors import TrainingError
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.training.finetune import finetune


def called(data, base, root, problem: str, **settings) -> None:
    params = FinetuneParams.model_validate({"base_model": str(base), **settings})
    finetune(*data, params, root / "out", work=root / "work", problem=problem)


@pytest.mark.parametrize(
    ("problem", "settings", "message"),
    [
        (
            "translation",
            {"tuning": {"kind": "head"}, "early_stopping_metric": "loss"},
            r"not fit the problem translation:\n.*head is not for translation[\s\S]*expected",
        ),
        (
            "summarisation",
            {
                "n_runs": 2,
                "early_stopping_metric": "loss",
                "generation": {"validation_rows": 0},
            },
            r"validation_rows is 0, and the 2 runs .* compared by rougeL; set it to 1 or more",
        ),
        (
            "dialogue",
            {"early_stopping_metric": "chrf", "generation": {"validation_rows": 0}},
            "validation_rows is 0: there is no chrf",
        ),
        ("ner", {}, r"early_stopping_metric: 'accuracy' is none of \('entity_f1'"),
    ],
)
def test_what_does_not_fit_the_problem_is_refused_with_what_does(
    problem: str, settings, message: str, base, data, tmp_path
) -> None:
    rows = data["text_classification"]  # nothing of them is read
    with pytest.raises(TrainingError, match=message):
        called(rows, base, tmp_path, problem, **settings)


@pytest.mark.parametrize("n_runs", [1, 2])
def test_rows_to_validate_on_must_be_there(n_runs: int, base, datasets, tmp_path) -> None:
    empty = dataset(tmp_path, "ner", "valid", 0)
    with pytest.raises(TrainingError, match=r"valid \(.*\) has no rows[\s\S]*choose the best"):
        called((datasets[0], empty), base, tmp_path, "text_classification", n_runs=n_runs)


def test_rows_to_learn_from_must_be_there(base, datasets, tmp_path) -> None:
    empty = dataset(tmp_path, "ner", "train", 0)
    with pytest.raises(TrainingError, match=r"train \(.*\) has no rows[\s\S]*learn from"):
        called((empty, datasets[1]), base, tmp_path, "text_classification")
