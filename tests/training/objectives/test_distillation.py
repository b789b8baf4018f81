"""Distillation by hand: temperatures, ensembles, recorded and live teachers, hidden states."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from objective_builders import gradients, make_step, tiny_classifier, with_lora

from pipeline_steps.errors import TrainingError
from pipeline_steps.training.objectives.combined import total_loss
from pipeline_steps.training.objectives.distillation import (
    Distillation,
    HiddenDistillation,
    make_projection,
)
from pipeline_steps.training.objectives.losses import categorical_divergence
from pipeline_steps.training.objectives.teachers import LiveTeacher, refuse_other_labels


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def test_the_value_by_hand() -> None:
    """0.3 CE + 0.7 * 4^2 * mean over rows of KL(p_T at 4 || p_S at 4), by numpy."""
    teacher = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    step = make_step(tiny_classifier(), extra={"teacher_logits": teacher})
    p = softmax(teacher.numpy() / 4)
    q = softmax(step.outputs.logits.detach().numpy() / 4)
    expected = 0.3 * step.loss.item() + 0.7 * 16 * (p * np.log(p / q)).sum() / 4
    found = Distillation(weight=0.7, temperature=4.0)(step)
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_a_teacher_of_the_same_opinion_adds_nothing() -> None:
    step = make_step(tiny_classifier())
    step.extra = {"teacher_logits": step.outputs.logits.detach()}
    assert Distillation(weight=1.0, temperature=1.0)(step).item() == pytest.approx(0.0, abs=1e-6)


def test_a_high_temperature_matches_logits_with_the_weight_unchanged() -> None:
    """Hinton et al. 2015, equation 4: T^2 KL tends to half the squared difference over classes."""
    teacher = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    teacher = teacher - teacher.mean(dim=1, keepdim=True)
    step = make_step(tiny_classifier(), extra={"teacher_logits": teacher})
    mine = step.outputs.logits - step.outputs.logits.mean(dim=1, keepdim=True)
    expected = (mine - teacher).square().sum().item() / (2 * 3) / 4
    found = Distillation(weight=1.0, temperature=100.0)(step).item()
    assert found == pytest.approx(expected, rel=0.03)


def test_an_ensemble_speaks_with_its_mean_probability() -> None:
    teachers = torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(1))
    step = make_step(tiny_classifier(), extra={"teacher_logits": teachers})
    found = Distillation(weight=1.0)(step)
    p = softmax(teachers.numpy() / 2)
    q = softmax(step.outputs.logits.detach().numpy() / 2)
    each = [(p[:, k] * np.log(p[:, k] / q)).sum() for k in (0, 1)]
    assert found.item() == pytest.approx(4 * np.mean(each) / 4, rel=1e-5)
    together = torch.tensor(p.mean(axis=1)).log()
    of_mean = categorical_divergence(step.outputs.logits / 2, together, n_items=4)
    slope, expected = (
        torch.autograd.grad(value, step.outputs.logits, retain_graph=True)[0]
        for value in (found, 4 * of_mean)
    )
    assert torch.allclose(slope, expected, atol=1e-6)


def test_live_teachers_say_what_was_recorded_of_them() -> None:
    teachers = [tiny_classifier("distilbert", seed=seed, dropout=0.5) for seed in (1, 2)]
    live = tuple(LiveTeacher(teacher) for teacher in teachers)
    step = make_step(tiny_classifier())
    spoken = torch.stack([t.eval()(**step.inputs).logits for t in teachers], dim=1).detach()
    recorded = make_step(step.model, extra={"teacher_logits": spoken})
    assert Distillation(teachers=live)(step).item() == pytest.approx(
        Distillation()(recorded).item(), rel=1e-6
    )


def test_recorded_logits_spare_the_teacher() -> None:
    teacher = LiveTeacher(tiny_classifier())
    step = make_step(tiny_classifier(), extra={"teacher_logits": torch.zeros(4, 3)})
    teacher.model.register_forward_hook(lambda *_: pytest.fail("the teacher was asked"))
    Distillation(teachers=(teacher,))(step)


def test_a_live_teacher_is_frozen_without_dropout_and_asked_once() -> None:
    teacher = LiveTeacher(tiny_classifier(dropout=0.5))
    calls = []
    teacher.model.register_forward_hook(lambda *_: calls.append(1))
    step = make_step(tiny_classifier())
    teacher.model.train()  # as a careless caller would leave it
    first = teacher.outputs(step)
    assert teacher.outputs(step) is first
    assert not first.logits.requires_grad
    assert len(calls) == 1
    assert torch.equal(teacher.outputs(make_step(step.model)).logits, first.logits)
    assert len(calls) == 2


def test_the_student_learns_also_through_adapters() -> None:
    teacher = (LiveTeacher(tiny_classifier(seed=5)),)
    student = with_lora(tiny_classifier())
    loss = Distillation(weight=1.0, teachers=teacher)(make_step(student))
    assert sum(g.abs().sum() for g in gradients(loss, student)) > 0


def test_without_a_teacher_it_says_so() -> None:
    with pytest.raises(TrainingError, match="there is no teacher"):
        Distillation()(make_step(tiny_classifier()))


def test_a_teacher_of_other_classes_is_refused() -> None:
    step = make_step(tiny_classifier(), extra={"teacher_logits": torch.zeros(4, 5)})
    with pytest.raises(TrainingError, match="the teacher has 5 classes\n  expected: 3 classes"):
        Distillation()(step)


def test_a_teacher_of_other_labels_is_refused() -> None:
    with pytest.raises(TrainingError, match="the teacher has 2 labels, differing in c"):
        refuse_other_labels(["a", "b"], ["a", "b", "c"])
    with pytest.raises(TrainingError, match="in another order"):
        refuse_other_labels(["b", "a"], ["a", "b"])
    refuse_other_labels(("a", "b"), ["a", "b"])


def hidden(teacher_model, **settings) -> HiddenDistillation:
    return HiddenDistillation(LiveTeacher(teacher_model, keeps_hidden_states=True), **settings)


def test_hidden_mse_by_hand() -> None:
    """The mean over a row's tokens and the width, the mean over rows, the mean over pairs."""
    teacher = tiny_classifier(seed=5)
    step = make_step(tiny_classifier(), keeps_hidden_states=True)
    theirs = teacher.eval()(**step.inputs, output_hidden_states=True).hidden_states
    expected = []
    for mine, other in ((1, 2), (2, 0)):
        squares = (step.outputs.hidden_states[mine] - theirs[other]).square().mean(-1)
        lengths = step.mask.sum(1)
        expected.append(((squares * step.mask).sum(1) / lengths).mean().item())
    found = hidden(teacher, layers=((1, 2), (2, 0)), weight=10.0)(step)
    assert found.item() == pytest.approx(10 * np.mean(expected), rel=1e-5)


def test_cosine_of_first_tokens_is_patient_distillation_halved() -> None:
    teacher = tiny_classifier(seed=5)
    step = make_step(tiny_classifier(), keeps_hidden_states=True)
    a = step.outputs.hidden_states[1][:, 0]
    b = teacher.eval()(**step.inputs, output_hidden_states=True).hidden_states[2][:, 0]
    unit = torch.nn.functional.normalize
    expected = (unit(a, dim=-1) - unit(b, dim=-1)).square().sum(-1).mean().item() / 2
    found = hidden(teacher, layers=((1, 2),), distance="cosine", positions="first")(step)
    assert found.item() == pytest.approx(expected, rel=1e-4)


def test_by_token_labels_make_every_token_count() -> None:
    teacher = tiny_classifier(seed=5)
    labels = torch.zeros(4, 6, dtype=torch.long)
    step = make_step(tiny_classifier(), labels=labels, n_items=18, keeps_hidden_states=True)
    theirs = teacher.eval()(**step.inputs, output_hidden_states=True).hidden_states[1]
    squares = (step.outputs.hidden_states[1] - theirs).square().mean(-1)
    expected = (squares * step.mask).sum().item() / 18
    assert hidden(teacher, layers=((1, 1),))(step).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "labels", [torch.zeros(4, 3, dtype=torch.long), torch.zeros(4, 6)], ids=["places", "there"]
)
def test_a_text_counts_the_same_however_many_numbers_its_answer_has(labels) -> None:
    """Places in a text, and labels that are there or not, also as many as the batch has tokens."""
    teacher = tiny_classifier(seed=5)
    one, several = (
        hidden(teacher, layers=((1, 1),))(
            make_step(tiny_classifier(), labels=given, keeps_hidden_states=True)
        )
        for given in (torch.zeros(4, dtype=torch.long), labels)
    )
    assert several.item() == one.item()


def test_a_teacher_like_the_student_costs_nothing() -> None:
    step = make_step(tiny_classifier(), keeps_hidden_states=True)
    assert hidden(tiny_classifier(), layers=((0, 0), (2, 2)))(step).item() == 0.0


def test_a_projection_is_learnt_and_drawn_by_seed() -> None:
    def projection(seed: int) -> torch.nn.Linear:
        return make_projection(16, 16, torch.Generator().manual_seed(seed))

    assert torch.equal(projection(1).weight, projection(1).weight)
    assert not torch.equal(projection(1).weight, projection(2).weight)
    learnt = projection(1)
    step = make_step(tiny_classifier(), keeps_hidden_states=True)
    hidden(tiny_classifier(seed=5), layers=((1, 1),), projection=learnt)(step).backward()
    assert learnt.weight.grad.abs().sum() > 0


def test_another_width_asks_for_a_projection() -> None:
    narrow = make_projection(16, 8, torch.Generator())
    step = make_step(tiny_classifier(), keeps_hidden_states=True)
    with pytest.raises(TrainingError, match="8 wide, the teacher's 16"):
        hidden(tiny_classifier(), layers=((1, 1),), projection=narrow)(step)


def test_hidden_states_that_nobody_kept_are_asked_for() -> None:
    objective = HiddenDistillation(LiveTeacher(tiny_classifier()), layers=((1, 1),))
    with pytest.raises(TrainingError, match="the student's pass kept no hidden states"):
        objective(make_step(tiny_classifier()))
    with pytest.raises(TrainingError, match="the teacher's pass kept no hidden states"):
        objective(make_step(tiny_classifier(), keeps_hidden_states=True))


def test_both_distillations_share_one_pass_of_the_teacher() -> None:
    teacher = LiveTeacher(tiny_classifier(seed=5), keeps_hidden_states=True)
    calls = []
    teacher.model.register_forward_hook(lambda *_: calls.append(1))
    objectives = [Distillation(teachers=(teacher,)), HiddenDistillation(teacher, ((1, 1),))]
    total_loss(make_step(tiny_classifier()), objectives).total.backward()
    assert len(calls) == 1
