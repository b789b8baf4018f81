"""Distillation: a teacher's probabilities and hidden states beside the labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch.nn import functional

from pipeline_steps.errors import TrainingError
from pipeline_steps.training.objectives.losses import IGNORED
from pipeline_steps.training.objectives.step import Step
from pipeline_steps.training.objectives.teachers import LiveTeacher, mean_divergence, target_logits


@dataclass(frozen=True)
class Distillation:
    """``(1 - weight) * clean loss + weight * T^2 * KL(teacher at T || student at T)``.

    Hinton, Vinyals, Dean 2015 (arXiv 1503.02531), section 2: T^2 keeps the weight of the soft
    targets when T changes. Their cross-entropy differs from the KL by the teacher's entropy, which
    has no gradient. Several teachers speak as one: the gradient is that of the mean of their
    probabilities at T.

    Recorded logits, columns ``teacher_logits`` (n, classes), or (n, teachers, classes) for several,
    cost nothing while training; they hold only while the texts of the rows do not change.

    Parameters
    ----------
    weight : float
        Of the teacher beside the labels; 1 reads no label.
    temperature : float
        T.
    teachers : tuple of LiveTeacher
        Asked where no logits are recorded.
    """

    weight: float = 0.5
    temperature: float = 2.0
    teachers: tuple[LiveTeacher, ...] = ()
    replaces_clean_loss: ClassVar[bool] = True

    def __call__(self, step: Step) -> torch.Tensor:
        """Return the mixture of clean and soft loss."""
        target = target_logits(step, self.teachers, recorded="teacher")
        soft = mean_divergence(step, step.outputs, target, self.temperature)
        return (1.0 - self.weight) * step.loss + self.weight * self.temperature**2 * soft


@dataclass(frozen=True)
class HiddenDistillation:
    """``weight`` times the mean distance of student's and teacher's hidden states.

    Mean squared error with a learned projection: Jiao et al. 2020 (TinyBERT, Findings of EMNLP,
    arXiv 1909.10351), equations 8 and 9. Cosine distance on the first token is Sun et al. 2019
    (patient distillation, EMNLP, arXiv 1908.09355), equation 7, halved:
    ``||a/|a| - b/|b|||^2 = 2 (1 - cos)``.

    A text counts with the mean over its tokens, where labels are by token each token counts; the
    sum is divided by ``n_items``. Where a text is written its tokens count: the states are those
    that they are told from, of the decoder where there is an encoder, too (Shleifer and Rush 2020,
    arXiv 2010.13002, section 2.2). Where one labels a text it is the encoder that has read it.

    Parameters
    ----------
    teacher : LiveTeacher
        With ``keeps_hidden_states``.
    layers : tuple of (student layer, teacher layer)
        Counted as in ``hidden_states``: 0 are the embeddings. See :func:`uniform_layers`.
    distance : {"mse", "cosine"}
        Of one token's states.
    positions : {"all", "first"}
        Tokens that are compared.
    weight : float
        Of this part.
    written : bool
        Whether the model writes.
    projection : Module, optional
        From the student's width to the teacher's, see :func:`make_projection`. Its weights must be
        given to the optimizer and saved with the run; the checkpoint does without.
    """

    teacher: LiveTeacher
    layers: tuple[tuple[int, int], ...]
    distance: Literal["mse", "cosine"] = "mse"
    positions: Literal["all", "first"] = "all"
    weight: float = 1.0
    written: bool = False
    projection: torch.nn.Module | None = None
    replaces_clean_loss: ClassVar[bool] = False
    needs_hidden_states: ClassVar[bool] = True

    def __call__(self, step: Step) -> torch.Tensor:
        """Return the weighted distance, a mean over the pairs of layers."""
        students = _states(step.outputs, "student", of_decoder=self.written)
        teachers = _states(self.teacher.outputs(step), "teacher", of_decoder=self.written)
        distances = [
            self._distance(students[mine], teachers[theirs]) for mine, theirs in self.layers
        ]
        per_token = torch.stack(distances).mean(dim=0)  # (n, length)
        return self.weight * self._summed(per_token, step) / step.n_items

    def _distance(self, student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        projected = student if self.projection is None else self.projection(student)
        _refuse_other_width(projected, teacher)
        mine, theirs = projected.float(), teacher.float()
        if self.distance == "cosine":
            return 1.0 - functional.cosine_similarity(mine, theirs, dim=-1)
        return (mine - theirs).square().mean(dim=-1)

    def _summed(self, per_token: torch.Tensor, step: Step) -> torch.Tensor:
        compared = step.labels != IGNORED if self.written else step.mask
        mask = compared.to(per_token.dtype)
        if self.positions == "first":
            mask = mask * (mask.cumsum(dim=1) == 1)
        by_row = (per_token * mask).sum(dim=1)
        by_token = self.written or step.labels_are_by_token
        return (by_row if by_token else by_row / mask.sum(dim=1).clamp_min(1)).sum()


def uniform_layers(n_student: int, n_teacher: int) -> tuple[tuple[int, int], ...]:
    """Return which teacher layer each student layer follows, embeddings with embeddings.

    Jiao et al. 2020, ``g(m) = m N / M``: the uniform strategy, which they find best (table 4).

    Examples
    --------
    >>> uniform_layers(3, 12)
    ((0, 0), (1, 4), (2, 8), (3, 12))
    """
    return tuple((m, round(m * n_teacher / n_student)) for m in range(n_student + 1))


def make_projection(
    student_width: int, teacher_width: int, generator: torch.Generator
) -> torch.nn.Linear:
    """Return a linear map from the student's hidden states to the teacher's, without bias."""
    projection = torch.nn.Linear(student_width, teacher_width, bias=False)
    # As torch draws a linear layer's weights, but from a generator of its own.
    bound = student_width**-0.5
    with torch.no_grad():
        projection.weight.uniform_(-bound, bound, generator=generator)
    return projection


def _states(outputs: Any, whose: str, *, of_decoder: bool) -> Any:
    states = getattr(outputs, "hidden_states", None)
    if states is None:
        name = "decoder_hidden_states" if of_decoder else "encoder_hidden_states"
        states = getattr(outputs, name, None)
    if states is None:
        raise TrainingError(
            f"the {whose}'s pass kept no hidden states",
            expected="the hidden states of all layers, of an encoder or a decoder alone",
            fix="compute the loss with total_loss, and make the teacher with "
            "LiveTeacher(model, keeps_hidden_states=True)",
        )
    return states


def _refuse_other_width(student: torch.Tensor, teacher: torch.Tensor) -> None:
    if student.shape[-1] != teacher.shape[-1]:
        raise TrainingError(
            f"the student's states are {student.shape[-1]} wide, the teacher's {teacher.shape[-1]}",
            expected="states of one width",
            fix="give HiddenDistillation a projection: "
            f"make_projection({student.shape[-1]}, {teacher.shape[-1]}, generator)",
        )
