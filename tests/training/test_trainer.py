"""The trainer's own arithmetic: accumulation, rates by group, validation scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, log_loss

from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.inference.learners.scores import classification_scores
from pipeline_steps.inference.learners.text_classification import TextClassificationLearner
from pipeline_steps.objective_params import LossParams
from pipeline_steps.training.criterion import criterion_of
from pipeline_steps.training.finetune import Inputs, _build


def trainer(base: Path, datasets, work: Path, **settings):
    from pipeline_steps.inference.base_model import resolve_base_model

    params = FinetuneParams.model_validate(
        {"base_model": str(base), "precision": "fp32", "batch_tokens": 64, "epochs": 1, **settings}
    )
    torch.manual_seed(0)
    reference = resolve_base_model(str(base))
    return _build(Inputs(*datasets, reference, params, "text_classification"), work)[0]


def test_the_gradient_of_an_accumulated_step_is_that_of_one_large_batch(
    base, datasets, tmp_path
) -> None:
    """transformers 5 multiplies it by the accumulation factor for heads of this kind."""
    built = trainer(base, datasets, tmp_path)
    model = built.model.eval()
    rows = [built.train_rows[i] for i in range(32)]

    def gradient(parts: list[list]) -> tuple[float, torch.Tensor]:
        model.zero_grad()
        total = 0.0
        for part in parts:
            loss = built.compute_loss(model, built.collator(part), num_items_in_batch=len(rows))
            loss.backward()
            total += float(loss.detach())
        return total, torch.cat(
            [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        )

    one_loss, one = gradient([rows])
    uneven = [rows[:3], rows[3:10], rows[10:27], rows[27:]]
    four_loss, four = gradient(uneven)
    assert four_loss == pytest.approx(one_loss, rel=1e-5)
    assert torch.allclose(one, four, rtol=1e-3, atol=1e-6)


def test_a_step_counts_the_rows_of_all_its_batches_and_loses_none(base, datasets, tmp_path) -> None:
    built = trainer(base, datasets, tmp_path, accumulation_steps=4)
    iterator = iter(built.get_train_dataloader())
    seen = 0
    while True:
        batches, n_rows = built.get_batch_samples(iterator, 4, torch.device("cpu"))
        if not batches:
            break
        assert n_rows == sum(len(batch["labels"]) for batch in batches)
        seen += n_rows
    assert seen == 120


def test_the_head_has_its_own_rate_and_biases_do_not_decay(base, datasets, tmp_path) -> None:
    built = trainer(base, datasets, tmp_path, learning_rate=1e-4, head_learning_rate=5e-3)
    groups = {
        (g["lr"], g["weight_decay"]): len(g["params"])
        for g in built.create_optimizer().param_groups
    }
    assert set(groups) == {(1e-4, 0.01), (1e-4, 0.0), (5e-3, 0.01), (5e-3, 0.0)}
    assert groups[(5e-3, 0.01)] == groups[(5e-3, 0.0)] == 1
    assert sum(groups.values()) == len(list(built.model.parameters()))


def test_the_head_keeps_its_own_rate_beside_adapters(base, datasets, tmp_path) -> None:
    """peft renames the parameters of the modules that it trains whole."""
    built = trainer(
        base,
        datasets,
        tmp_path,
        tuning={"kind": "lora"},
        learning_rate=1e-4,
        head_learning_rate=5e-3,
    )
    groups = built.create_optimizer().param_groups
    head = [g for g in groups if g["lr"] == 5e-3]
    assert sum(len(g["params"]) for g in head) == 2
    assert sum(p.numel() for g in head for p in g["params"]) == 2 * 16 + 2
    assert {g["lr"] for g in groups} == {1e-4, 5e-3}


def test_smoothed_loss_is_the_one_of_the_formula() -> None:
    logits = torch.tensor([[2.0, 0.0, -1.0]])
    log_p = torch.log_softmax(logits, dim=1)[0]
    expected = -(0.9 * log_p[0] + 0.1 * log_p.mean())
    loss = criterion_of(LossParams(label_smoothing=0.1), [])(logits, torch.tensor([0]))
    assert float(loss) == pytest.approx(float(expected))


def test_validation_scores_are_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    logits, truth = generator.normal(size=(50, 4)), generator.integers(0, 4, 50)
    scores = classification_scores(logits, truth)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert scores["loss"] == pytest.approx(log_loss(truth, probabilities, labels=range(4)))
    assert scores["accuracy"] == pytest.approx((logits.argmax(axis=1) == truth).mean())
    assert scores["macro_f1"] == pytest.approx(
        f1_score(truth, logits.argmax(axis=1), average="macro")
    )


def test_only_the_head_of_a_base_is_new(base) -> None:
    built = TextClassificationLearner().build(base, ["a", "b"])
    assert built[1] == ("classifier.bias", "classifier.weight")
