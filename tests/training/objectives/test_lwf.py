"""Learning without forgetting: the old answers, also under a larger head."""

from __future__ import annotations

import pytest
import torch
from objective_builders import make_step, tiny_classifier

from pipeline_steps.errors import TrainingError
from pipeline_steps.training.objectives.losses import categorical_divergence
from pipeline_steps.training.objectives.lwf import LwF
from pipeline_steps.training.objectives.teachers import LiveTeacher


def test_the_value_by_hand() -> None:
    old = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    step = make_step(tiny_classifier(), extra={"old_logits": old})
    expected = 0.5 * categorical_divergence(step.outputs.logits / 2, old / 2, n_items=4)
    assert LwF(weight=0.5)(step).item() == pytest.approx(expected.item(), rel=1e-6)


def test_a_model_that_has_not_moved_forgets_nothing() -> None:
    old = LiveTeacher(tiny_classifier())
    assert LwF(old_model=old)(make_step(tiny_classifier())).item() == pytest.approx(0, abs=1e-6)


def test_new_classes_are_free() -> None:
    """The old two classes now stand at 2 and 0; what the new one gets does not matter."""
    step = make_step(tiny_classifier())
    old = step.outputs.logits.detach()[:, [2, 0]]
    step.extra = {"old_logits": old}
    assert LwF(old_classes=(2, 0))(step).item() == pytest.approx(0.0, abs=1e-6)


def test_it_is_added_to_the_loss_on_the_new_rows() -> None:
    assert not LwF().replaces_clean_loss


def test_answers_of_other_classes_are_refused() -> None:
    step = make_step(tiny_classifier(), extra={"old_logits": torch.zeros(4, 2)})
    with pytest.raises(TrainingError, match="has 2 classes"):
        LwF()(step)


def test_without_old_answers_it_says_so() -> None:
    with pytest.raises(TrainingError, match="a column old_logits, or a model to ask"):
        LwF()(make_step(tiny_classifier()))
