"""``finetune.loss`` and ``finetune.objective`` from parameters to a checkpoint."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from objective_runs import PROBLEMS, run
from tiny_models import save_tiny_model
from torch.nn import functional

from pipeline_steps.errors import ConfigurationError, TrainingError
from pipeline_steps.objective_params import LossParams
from pipeline_steps.params import parse_params
from pipeline_steps.training.criterion import criterion_of

PLAIN: dict[str, dict[str, Any]] = {
    "fgm": {"epsilon": 0.5},
    "pgd": {"steps": 2, "initial_magnitude": 0.1},
    "freelb": {"steps": 2},
    "smart": {"epsilon": 0.1, "step_size": 0.1},
    "rdrop": {"alpha": 2.0},
    "contrastive": {"weight": 0.5},
}
LOSSES: dict[str, dict[str, Any]] = {
    "smoothed": {"label_smoothing": 0.2},
    "focal": {"kind": "focal", "gamma": 1.0},
    "balanced": {"class_weights": "balanced"},
    "focal effective": {"kind": "focal", "class_weights": "effective"},
}


@pytest.fixture(scope="module")
def undisturbed(base, data, tmp_path_factory) -> dict[str, str]:
    """Return the digest of a checkpoint of each problem without any objective."""
    return {
        problem: run(base, data, tmp_path_factory.mktemp("plain"), problem).digest
        for problem in PROBLEMS
    }


@pytest.mark.parametrize("name", PLAIN)
def test_an_objective_trains_and_its_figures_are_kept(
    name, base, data, undisturbed, tmp_path
) -> None:
    checkpoint = run(base, data, tmp_path, objective={name: PLAIN[name]})
    (point,) = checkpoint.training["history"]
    parts = {key: value for key, value in point.items() if key.startswith("train_")}
    assert len(parts) == (1 if name in ("freelb", "rdrop", "contrastive") else 2)
    assert all(math.isfinite(value) and value > 0 for value in parts.values())
    assert checkpoint.digest != undisturbed["text_classification"]


@pytest.mark.parametrize("problem", PROBLEMS[1:])
@pytest.mark.parametrize("names", [("fgm", "pgd", "smart", "rdrop"), ("freelb",)])
def test_objectives_train_on_every_problem(names, problem, base, data, tmp_path) -> None:
    asked = {name: PLAIN[name] for name in names}
    (point,) = run(base, data, tmp_path, problem, objective=asked).training["history"]
    parts = [value for key, value in point.items() if key.startswith("train_")]
    assert len(parts) == len(names)
    assert all(math.isfinite(value) and value > 0 for value in parts)


@pytest.mark.parametrize(
    ("problem", "name"), [*itertools.product(PROBLEMS[:3], ("balanced", "focal effective")),
                          ("text_classification", "smoothed"), ("ner", "focal")]
)  # fmt: skip
def test_another_loss_leads_elsewhere(problem, name, base, data, undisturbed, tmp_path) -> None:
    checkpoint = run(base, data, tmp_path, problem, loss=LOSSES[name])
    nothing_to_balance = name == "balanced" and problem != "ner"
    assert (checkpoint.digest == undisturbed[problem]) == nothing_to_balance


def test_objectives_combine_and_repeat_for_a_seed(base, data, tmp_path) -> None:
    objective = {"fgm": {}, "pgd": {"initial_magnitude": 0.2}, "smart": {}, "rdrop": {}}
    first, second = (
        run(base, data, tmp_path / n, objective=objective, accumulation_steps=2) for n in "ab"
    )
    assert first.digest == second.digest
    assert first.training["history"] == second.training["history"]
    assert {"train_FGM", "train_PGD", "train_SMART", "train_RDrop"} <= set(
        first.training["history"][0]
    )


@pytest.mark.parametrize(
    ("name", "tuning"),
    [("fgm", {"kind": "lora", "rank": 2, "alpha": 4}),
     ("smart", {"kind": "prefix", "n_tokens": 2}),
     ("freelb", {"kind": "full", "freeze_embeddings": True}),
     ("freelb", {"kind": "houlsby", "size": 4}),
     ("pgd", {"kind": "head"})],
)  # fmt: skip
def test_frozen_embeddings_are_perturbed_as_well(name, tuning, base, data, tmp_path) -> None:
    checkpoint = run(base, data, tmp_path, tuning=tuning, objective={name: {}}, precision="bf16")
    (point,) = checkpoint.training["history"]
    names = {"fgm": "FGM", "pgd": "PGD", "freelb": "FreeLB", "smart": "SMART"}
    assert math.isfinite(point[f"train_{names[name]}"])


def test_class_weights_are_those_of_the_training_rows() -> None:
    """Three rows of class 0, one of 2, none of 1 and 3: the mean row weighs 1."""
    logits, labels = torch.randn(4, 4), torch.tensor([0, 0, 0, 2])
    found = criterion_of(LossParams(class_weights="balanced"), [0, 0, 0, 2])(logits, labels)
    each = functional.cross_entropy(logits, labels, reduction="none")
    assert found.item() == pytest.approx((each * torch.tensor([2 / 3] * 3 + [2])).sum().item())


def test_activations_computed_anew_give_the_same_attack(base, data, tmp_path) -> None:
    objective = {"fgm": {}, "freelb": {"steps": 2}}
    kept, anew = (
        run(base, data, tmp_path / str(again), objective=objective, tuning={"kind": "full"},
            hardware={"gradient_checkpointing": again})
        for again in (False, True)
    )  # fmt: skip
    pairs = zip(*(c.training["history"][0].items() for c in (kept, anew)), strict=True)
    for (name, value), (_, other) in pairs:
        assert value == pytest.approx(other, rel=1e-4), name


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("question_answering", {"loss": {"kind": "focal"}}, r"loss\.kind: 'focal' makes no sense"),
    ("question_answering", {"loss": {"label_smoothing": 0.1}}, "set it to 0.0"),
    ("question_answering", {"loss": {"class_weights": "balanced"}}, "set it to 'none'"),
    ("ner", {"objective": {"contrastive": {}}}, "ner has none such"),
    (
        "text_classification",
        {"objective": {"fgm": {}}, "hardware": {"compile": True}},
        r"fgm: it moves[\s\S]*set finetune\.hardware\.compile to false",
    ),
    (
        "text_classification",
        {"objective": {"smart": {}}, "precision": "fp16"},
        r"smart: its moves[\s\S]*set finetune\.precision to bf16",
    ),
    (
        "text_classification",
        {"objective": {"rdrop": {}}, "augmentation": {}, "tuning": {"kind": "in_context"}},
        r"finetune\.objective\.rdrop, finetune\.augmentation: with the tuning in_context nothing",
    ),
    (
        "text_classification",
        {
            "n_runs": 3,
            "combine": "greedy_soup",
            "loss": {"kind": "focal"},
            "layer_decay": 0.9,
            "tuning": {"kind": "in_context"},
        },
        r"\.loss, finetune\.layer_decay, finetune\.n_runs, finetune\.combine: with the tuning in_c",
    ),
    ("text_classification", {"objective": {"freelb": {}, "rdrop": {}}}, "each replace the clean"),
    (
        "ner",
        {"tuning": {"kind": "prefix"}, "hardware": {"gradient_checkpointing": True}},
        r"gradient_checkpointing: it drops the past keys[\s\S]*to prompt or lora",
    ),
    (
        "text_classification",
        {"tuning": {"kind": "prompt"}, "objective": {"freelb": {}}},
        r"freelb: with the tuning prompt[\s\S]*works with every other",
    ),
    (
        "ner",
        {"tuning": {"kind": "lora"}, "objective": {"l2sp": {}}},
        r"l2sp: with the tuning lora[\s\S]*full, top_layers, bitfit",
    ),
]


@pytest.mark.parametrize(("problem", "settings", "message"), REFUSED)
def test_what_does_not_fit_is_refused_before_anything_is_trained(
    problem, settings, message, base, data, tmp_path
) -> None:
    with pytest.raises(TrainingError, match=message):
        run(base, data, tmp_path, problem, **settings)
    assert list(tmp_path.iterdir()) == []
    values = {"problem": problem, "ingest": {"sources": [{"path": "a.csv"}]}, "finetune": settings}
    with pytest.raises(ConfigurationError, match=message):
        parse_params(values, source="params.yaml")


def test_all_that_does_not_fit_is_named_at_once(base, data, tmp_path) -> None:
    objective = {"contrastive": {}, "rdrop": {}, "l2sp": {}, "fgm": {}}
    with pytest.raises(TrainingError) as caught:
        run(base, data, tmp_path, "ner", tuning={"kind": "prompt"}, objective=objective)
    received = caught.value.received
    assert received.count("\n  - ") == 5
    for name in ("contrastive: it", "contrastive: with", "fgm: with", "l2sp: with", "and contr"):
        assert name in received


def test_a_model_without_dropout_is_refused_two_masks(data, tmp_path) -> None:
    base = save_tiny_model(tmp_path / "base", "modernbert")
    with pytest.raises(TrainingError, match="RDrop: the model has no dropout"):
        run(base, data, tmp_path, objective={"rdrop": {}})


def test_a_smoothed_focal_loss_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"finetune\.loss: .*the focal loss has none"):
        parse_params(
            {"ingest": {"sources": [{"path": "a.csv"}]},
             "finetune": {"loss": {"kind": "focal", "label_smoothing": 0.1}}},
            source="params.yaml",
        )  # fmt: skip
