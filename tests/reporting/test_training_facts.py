"""What a training went through stands in the report and among the metrics of its run."""

from __future__ import annotations

from pipeline_steps.reporting.report import render_report
from pipeline_steps.reporting.training_facts import training_facts, training_metrics

RUNS = {"metric": "entity_f1", "seeds": [0, 1, 2], "scores": [0.5, 0.6, None], "mean": 0.55,
        "std": 0.071, "min": 0.5, "max": 0.6, "baseline": 0.0, "failed": [2],
        "failed_rate": 1 / 3, "combine": "uniform_soup", "chosen": [0, 1]}  # fmt: skip
TRAINING = {
    "runs": RUNS,
    "wise_ft": {"alpha": 0.5, "scores": {"1": {}, "0.5": {}}},
    "returns": [{"step": 9, "to": 5, "reason": "exploded", "rate_factor": 0.5}],
    "batches": {"batch_tokens": 512, "accumulation_steps": 2},
    "ranks": {"layer.0.query": 3, "layer.0.value": 5},
}


def test_a_plain_training_has_nothing_to_say() -> None:
    assert training_facts({"history": [], "steps": 3}) == []
    assert training_metrics({"history": [], "steps": 3}) == {}


def test_everything_unusual_is_said() -> None:
    facts = dict(training_facts(TRAINING))
    assert facts["runs"] == (
        "3 seeds: validation entity f1 0.550 in the mean, standard deviation 0.071, 0.500 to "
        "0.600; 1 failed (not above 0.000, or diverged); uniform soup of 0, 1"
    )
    assert facts["interpolated with the base"] == "alpha 0.5 of 1, 0.5 (0: the base, 1: tuned)"
    assert facts["returns"] == "step 9 (exploded) to 5, rates x 0.5"
    assert facts["batches"] == "512 tokens, 2 in a step, after the memory ran out"
    assert facts["ranks kept"] == "8 over 2 matrices"


def test_numbers_become_metrics_and_what_is_undefined_none() -> None:
    alone = {**RUNS, "std": None}
    assert training_metrics({**TRAINING, "runs": alone}) == {
        "n_returns": 1, "valid_entity_f1_mean": 0.55, "valid_entity_f1_min": 0.5,
        "valid_entity_f1_max": 0.6, "n_runs": 3, "failed_run_rate": 1 / 3, "wise_ft_alpha": 0.5,
    }  # fmt: skip


def test_the_report_shows_them(record) -> None:
    training = {**record.checkpoint.training, **TRAINING}
    checkpoint = record.checkpoint.model_copy(update={"training": training})
    page = render_report(record.model_copy(update={"checkpoint": checkpoint}))
    assert "uniform soup of 0, 1" in page
    assert "rates x 0.5" in page
