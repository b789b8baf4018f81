"""One batch on its way through the model: all that an objective sees of training.

An objective is a callable of a :class:`Step` that returns its part of the loss. Parts are added up,
so any objectives combine; they meet only in the clean pass, which is run once and shared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import torch

from pipeline_steps.errors import TrainingError

Tensors = Mapping[str, torch.Tensor]


class TrainableProblem(Protocol):
    """What an objective asks of the problem: how far outputs are from labels, and from outputs."""

    def loss(self, outputs: Any, labels: torch.Tensor, n_items: int) -> torch.Tensor:
        """Return the summed loss over ``n_items``."""
        ...

    def divergence(
        self, outputs: Any, target: Any, labels: torch.Tensor, n_items: int
    ) -> torch.Tensor:
        """Return the summed KL(target || outputs) over ``n_items``; where nothing counts, 0."""
        ...


class Objective(Protocol):
    """A part of the loss."""

    replaces_clean_loss: bool
    """Whether the loss of the clean pass is left out because this part stands for it."""

    def __call__(self, step: Step) -> torch.Tensor:
        """Return this part of the step's loss."""
        ...


@dataclass
class Step:
    """A batch, the model and the problem.

    Parameters
    ----------
    model : Module
        In training mode; a wrapper (peft, DDP) is fine.
    inputs : mapping of str to Tensor
        What the model is called with; ``input_ids`` (n, length) and usually ``attention_mask``.
    labels : Tensor
        (n,) for whole texts, (n, length) for tokens.
    problem : TrainableProblem
        Loss and divergence.
    n_items : int
        Rows (or labelled tokens) of all accumulated batches of this optimizer step.
    extra : mapping of str to Tensor
        Columns that only one objective reads, row by row (a teacher's logits, a mask).
    """

    model: torch.nn.Module
    inputs: Tensors
    labels: torch.Tensor
    problem: TrainableProblem
    n_items: int
    extra: Tensors = field(default_factory=dict)

    @cached_property
    def outputs(self) -> Any:
        """The model's outputs of the clean pass, with gradients; run when first asked for."""
        return self.model(**self.inputs)

    @cached_property
    def loss(self) -> torch.Tensor:
        """The loss of the clean pass."""
        return self.problem.loss(self.outputs, self.labels, self.n_items)

    def embeddings(self) -> torch.Tensor:
        """Return the input embeddings (n, length, width) of the batch, with gradients.

        Raises
        ------
        TrainingError
            If the model has no token embeddings to perturb.
        """
        unwrapped: Any = getattr(self.model, "module", self.model)
        layer = unwrapped.get_input_embeddings()
        if layer is None or "input_ids" not in self.inputs:
            raise TrainingError(
                f"{type(unwrapped).__name__} has no input embeddings that could be perturbed",
                expected="a model that reads token ids, for objectives that perturb embeddings",
                fix="take the adversarial objective out of finetune.objective in params.yaml",
            )
        embedded: torch.Tensor = layer(self.inputs["input_ids"])
        return embedded

    def forward(self, embeddings: torch.Tensor) -> Any:
        """Return the model's outputs for embeddings in place of the batch's token ids."""
        others = {name: value for name, value in self.inputs.items() if name != "input_ids"}
        return self.model(inputs_embeds=embeddings, **others)
