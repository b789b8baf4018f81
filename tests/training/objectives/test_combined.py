"""Parts that add up, what is asked of the clean pass, and what does not go together."""

from __future__ import annotations

import pytest
import torch
from objective_builders import make_step, tiny_classifier

from pipeline_steps.errors import TrainingError
from pipeline_steps.training.objectives.adversarial import FGM, PGD
from pipeline_steps.training.objectives.combined import (
    has_dropout_in,
    refuse_incompatible,
    total_loss,
)
from pipeline_steps.training.objectives.consistency import RDrop
from pipeline_steps.training.objectives.contrastive import SupervisedContrastive
from pipeline_steps.training.objectives.freelb import FreeLB
from pipeline_steps.training.objectives.penalties import L2SP, starting_weights
from pipeline_steps.training.objectives.smart import SMART


def test_without_objectives_it_is_the_clean_loss() -> None:
    step = make_step(tiny_classifier())
    found = total_loss(step, [])
    assert torch.equal(found.total, step.loss)
    assert list(found.parts) == ["clean"]


def test_parts_add_up() -> None:
    model = tiny_classifier()
    found = total_loss(make_step(model), [FGM(), SMART(), L2SP(starting_weights(model))])
    assert list(found.parts) == ["clean", "FGM", "SMART", "L2SP"]
    assert found.total.item() == pytest.approx(sum(p.item() for p in found.parts.values()))
    assert not any(part.requires_grad for part in found.parts.values())


@pytest.mark.parametrize("objective", [RDrop(), FreeLB(), SupervisedContrastive()])
def test_one_that_replaces_the_clean_loss_stands_for_it(objective) -> None:
    found = total_loss(make_step(tiny_classifier()), [objective])
    assert list(found.parts) == [type(objective).__name__]


def test_a_replaced_clean_pass_is_not_run_for_nothing() -> None:
    step = make_step(tiny_classifier())
    total_loss(step, [RDrop()])
    assert "outputs" not in vars(step)


def test_the_clean_pass_is_shared() -> None:
    """Clean, FGM's direction and SMART's target are one pass; then FGM 1 and SMART 2."""
    model = tiny_classifier()
    passes = []
    model.register_forward_hook(lambda *_: passes.append(1))
    total_loss(make_step(model), [FGM(), SMART()]).total.backward()
    assert len(passes) == 4


def test_hidden_states_are_asked_for_only_when_needed() -> None:
    plain, contrastive = make_step(tiny_classifier()), make_step(tiny_classifier())
    total_loss(plain, [FGM()])
    total_loss(contrastive, [SupervisedContrastive()])
    assert plain.outputs.hidden_states is None
    assert contrastive.outputs.hidden_states is not None


def test_a_clean_pass_that_was_run_before_is_used_as_it_is() -> None:
    step = make_step(tiny_classifier())
    outputs = step.outputs
    total_loss(step, [FGM()])
    assert step.outputs is outputs
    assert not step.keeps_embeddings


def test_accumulated_batches_add_up_to_the_large_one() -> None:
    """The gradient of an accumulated step is that of one large batch, penalties included."""
    model = tiny_classifier()
    objectives = [FGM(), L2SP(starting_weights(model), alpha=3.0)]
    with torch.no_grad():
        model.classifier.weight += 0.1
    whole = make_step(model)
    parts = [
        make_step(
            model,
            inputs={name: value[rows] for name, value in whole.inputs.items()},
            labels=whole.labels[rows],
            n_batches=2,
        )
        for rows in (slice(0, 1), slice(1, 4))
    ]
    total_loss(whole, objectives).total.backward()
    expected = {name: w.grad.clone() for name, w in model.named_parameters() if w.grad is not None}
    model.zero_grad()
    for part in parts:
        total_loss(part, objectives).total.backward()
    for name, weight in model.named_parameters():
        if name in expected:
            assert torch.allclose(weight.grad, expected[name], atol=1e-5), name


def test_two_that_replace_the_clean_loss_are_refused() -> None:
    with pytest.raises(TrainingError, match="RDrop and FreeLB would each replace the clean loss"):
        refuse_incompatible([RDrop(), FreeLB()])


def test_two_of_a_kind_are_refused() -> None:
    with pytest.raises(TrainingError, match="FGM is there 2 times"):
        refuse_incompatible([FGM(), FGM(epsilon=2.0)])


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(TrainingError) as refusal:
        refuse_incompatible(
            [PGD(), RDrop(), SupervisedContrastive()],
            reads_token_ids=False,
            has_dropout=False,
            one_label_per_text=False,
        )
    received = refusal.value.received
    assert "PGD: there are no token ids" in received
    assert "RDrop: the model has no dropout" in received
    assert "SupervisedContrastive: texts have no single label" in received
    assert "RDrop and SupervisedContrastive would each replace" in received


def test_what_goes_together_is_let_through() -> None:
    refuse_incompatible([RDrop(), FGM(), SMART(), L2SP({})])
    refuse_incompatible([])


@pytest.mark.parametrize("architecture", ["bert", "distilbert", "roberta", "deberta-v2"])
def test_dropout_is_found(architecture) -> None:
    assert has_dropout_in(tiny_classifier(architecture, dropout=0.1))
    assert not has_dropout_in(tiny_classifier(architecture, dropout=0.0))


def test_modernbert_comes_without_dropout() -> None:
    from tiny_models import configurations
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_config(configurations()["modernbert"])
    assert not has_dropout_in(model)
    assert has_dropout_in(tiny_classifier("modernbert", dropout=0.1))
