"""What other models say about a batch: recorded beside the rows, or asked while training."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import torch

from pipeline_steps.errors import TrainingError
from pipeline_steps.inference.first_token import first_token_only
from pipeline_steps.inference.forward import autocast
from pipeline_steps.training.objectives.outputs import logit_fields, softened
from pipeline_steps.training.objectives.step import Step


class LiveTeacher:
    """A model that is asked about each batch, once, without gradients and without dropout.

    Two objectives may share one: its outputs for a step are kept until the next step.

    Parameters
    ----------
    model : Module
        On the device of the trained model, and of the same tokenizer: it is given the same ids.
    keeps_hidden_states : bool
        Whether its outputs have the hidden states of all layers.
    precision : {"fp32", "bf16"}
        What it computes in; objectives are called outside the autocast of the trained model.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        *,
        keeps_hidden_states: bool = False,
        precision: str = "fp32",
    ) -> None:
        self.precision = precision
        self.model = model.eval().requires_grad_(requires_grad=False)
        self.keeps_hidden_states = keeps_hidden_states
        self._step: weakref.ref[Step] | None = None
        self._outputs: Any = None

    def outputs(self, step: Step) -> Any:
        """Return the teacher's outputs for the step's batch."""
        if self._step is None or self._step() is not step:
            with torch.no_grad(), autocast(self.precision, step.inputs["input_ids"].device):
                self._outputs = self._answer(step.inputs)
            self._step = weakref.ref(step)
        return self._outputs

    def _answer(self, inputs: Mapping[str, torch.Tensor]) -> Any:
        if self.keeps_hidden_states:
            return self.model.eval()(**inputs, output_hidden_states=True)
        with first_token_only():
            return self.model.eval()(**inputs)


def target_logits(step: Step, teachers: Sequence[LiveTeacher], recorded: str) -> dict[str, Any]:
    """Return the teachers' logits by field, recorded ones first, (n, [teachers,] ..., classes).

    Parameters
    ----------
    step : Step
        Recorded logits are its ``extra`` columns ``{recorded}_logits`` (of a span head
        ``{recorded}_start_logits`` and so on).
    teachers : sequence of LiveTeacher
        Asked where nothing is recorded; several are stacked on axis 1.
    recorded : str
        Prefix of the columns.

    Raises
    ------
    TrainingError
        If there is neither.
    """
    prefix = f"{recorded}_"
    found = {
        name.removeprefix(prefix): value
        for name, value in step.extra.items()
        if name.startswith(prefix) and name.endswith("logits")
    }
    if found:
        return found
    if not teachers:
        raise TrainingError(
            f"extra columns of the batch: {sorted(step.extra)}; and there is no teacher",
            expected=f"a column {prefix}logits, or a model to ask",
            fix="name the teacher's checkpoint in finetune.objective, or record its logits first",
        )
    answers = [logit_fields(teacher.outputs(step)) for teacher in teachers]
    if len(answers) == 1:
        return dict(answers[0])
    return {name: torch.stack([answer[name] for answer in answers], dim=1) for name in answers[0]}


def soft_targets(target: Mapping[str, torch.Tensor], outputs: Any, temperature: float) -> list[Any]:
    """Return the logits of each teacher at a temperature, in the form of the student's outputs.

    Raises
    ------
    TrainingError
        If a teacher has another number of classes than the student's outputs.
    """
    students = logit_fields(outputs)
    cooled: dict[str, tuple[torch.Tensor, ...]] = {}
    for name, logits in students.items():
        _refuse_other_width(target[name], logits)
        given = target[name].to(logits.device).float() / temperature
        cooled[name] = given.unbind(1) if given.ndim == logits.ndim + 1 else (given,)
    n_teachers = len(next(iter(cooled.values())))
    return [
        SimpleNamespace(**{name: parts[teacher] for name, parts in cooled.items()})
        for teacher in range(n_teachers)
    ]


def mean_divergence(
    step: Step, outputs: Any, target: Mapping[str, torch.Tensor], temperature: float
) -> torch.Tensor:
    """Return the mean over teachers of the divergence of outputs from what each of them says.

    Its gradient is that of the divergence from the mean of the teachers' probabilities, because
    the cross-entropy is linear in them. That mean itself is never made: where a probability is one
    of places in a text, or is read off two tokens, only the problem knows how.
    """
    softer = softened(outputs, temperature)
    parts = [
        step.problem.divergence(softer, teacher, step.labels, step.n_items)
        for teacher in soft_targets(target, outputs, temperature)
    ]
    return torch.stack(parts).mean()


def refuse_other_labels(teacher: Sequence[str], student: Sequence[str]) -> None:
    """Refuse a teacher whose labels are not the student's, in the same order.

    Raises
    ------
    TrainingError
        If they differ.
    """
    if list(teacher) == list(student):
        return
    missing = sorted(set(student) - set(teacher)) or sorted(set(teacher) - set(student))
    difference = f"differing in {', '.join(missing[:10])}" if missing else "in another order"
    raise TrainingError(
        f"the teacher has {len(teacher)} labels, {difference}",
        expected=f"the {len(student)} labels of the training rows, in the same order: "
        f"{', '.join(student[:10])}",
        fix="train a teacher on these rows, or name another one in finetune.objective",
    )


def _refuse_other_width(target: torch.Tensor, logits: torch.Tensor) -> None:
    if target.shape[-1] != logits.shape[-1]:
        raise TrainingError(
            f"the teacher has {target.shape[-1]} classes",
            expected=f"{logits.shape[-1]} classes, as the model that is trained",
            fix="train a teacher on these rows, or name another one in finetune.objective",
        )
