"""One batch on its way through the model: all that an objective sees of training.

An objective is a callable of a :class:`Step` that returns its part of the loss. Parts are added up,
so any objectives combine; they meet only in the clean pass, which is run once and shared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import torch

from pipeline_steps.errors import TrainingError
from pipeline_steps.inference.first_token import first_token_only

Tensors = Mapping[str, torch.Tensor]


class TrainableProblem(Protocol):
    """What an objective asks of the problem: how far outputs are from labels, and from outputs.

    One that compares the rows of a batch with each other, so that its outputs have columns for
    every row, says so in an attribute ``compares_rows``, taken for false where it is absent.
    """

    def loss(self, outputs: Any, labels: torch.Tensor, n_items: int) -> torch.Tensor:
        """Return the summed loss over ``n_items``."""
        ...

    def divergence(
        self, outputs: Any, target: Any, labels: torch.Tensor, n_items: int
    ) -> torch.Tensor:
        """Return the summed KL(target || outputs) over ``n_items``; where nothing counts, 0.

        Gradients flow into both; who wants a fixed target detaches it. Of ``target`` only the
        fields that end in ``logits`` are there.
        """
        ...


class Objective(Protocol):
    """A part of the loss.

    What else one asks for, it says in attributes that are taken for false where it lacks them:
    ``needs_hidden_states`` and ``reads_clean_gradient`` (by the embeddings) of the clean pass,
    ``needs_dropout``, ``perturbs_embeddings``, ``needs_one_label``.
    """

    @property
    def replaces_clean_loss(self) -> bool:
        """Whether the loss of the clean pass is left out because this part stands for it."""
        ...

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
        (n,) or (n, numbers of a text) for whole texts, (n, length) for tokens.
    problem : TrainableProblem
        Loss and divergence.
    n_items : int
        Rows (or labelled tokens) of all accumulated batches of this optimizer step.
    extra : mapping of str to Tensor
        Columns that only one objective reads, row by row (a teacher's logits, a mask).
    n_batches : int
        Accumulated batches of this optimizer step: what does not depend on the rows, a penalty on
        the weights, is divided by it.
    keeps_hidden_states : bool
        Whether the clean pass returns the hidden states of all layers.
    keeps_embeddings : bool
        Whether the clean pass can be differentiated by its input embeddings.
    """

    model: torch.nn.Module
    inputs: Tensors
    labels: torch.Tensor
    problem: TrainableProblem
    n_items: int
    extra: Tensors = field(default_factory=dict)
    n_batches: int = 1
    keeps_hidden_states: bool = False
    keeps_embeddings: bool = False

    @cached_property
    def outputs(self) -> Any:
        """The model's outputs of the clean pass, with gradients; run when first asked for."""
        if self.keeps_embeddings:
            return self.forward(self.clean_embeddings)
        return self._run()

    @cached_property
    def clean_embeddings(self) -> torch.Tensor:
        """The input embeddings of the clean pass, where ``keeps_embeddings``."""
        embedded = self.embeddings()
        # Under LoRA the embeddings are frozen, and nothing below would ask for their gradient.
        return embedded if embedded.requires_grad else embedded.requires_grad_()

    @cached_property
    def loss(self) -> torch.Tensor:
        """The loss of the clean pass."""
        return self.loss_of(self.outputs)

    @property
    def mask(self) -> torch.Tensor:
        """1 where there is a token and 0 at padding (n, length)."""
        ids = self.inputs["input_ids"]
        return self.inputs.get("attention_mask", torch.ones_like(ids))

    @property
    def labels_are_by_token(self) -> bool:
        """Whether each token has a class of its own.

        A text may have several numbers too: places (three), or 0 and 1 by label, which are floats.
        """
        return self.labels.shape == self.mask.shape and not self.labels.is_floating_point()

    def loss_of(self, outputs: Any) -> torch.Tensor:
        """Return this batch's share of the step's loss for outputs of any pass."""
        return self.problem.loss(outputs, self.labels, self.n_items)

    def embeddings(self) -> torch.Tensor:
        """Return the input embeddings (n, length, width) of the batch, with gradients.

        Raises
        ------
        TrainingError
            If the model has no token embeddings to perturb.
        """
        layer = self._embedding_layer()
        if layer is None or "input_ids" not in self.inputs:
            raise TrainingError(
                f"{type(self._unwrapped).__name__} has no input embeddings that could be perturbed",
                expected="a model that reads token ids, for objectives that perturb embeddings",
                fix="take the adversarial objective out of finetune.objective in params.yaml",
            )
        embedded: torch.Tensor = layer(self.inputs["input_ids"])
        return embedded

    def forward(self, embeddings: torch.Tensor) -> Any:
        """Return the model's outputs for embeddings in place of those of the batch's token ids.

        The model is still called with the ids, and the output of its embedding layer is replaced:
        called with ``inputs_embeds``, decoder classifiers (GPT-2, Llama) would read the padding's
        output instead of the last token's, and RoBERTa would count positions through padding.
        """
        with _replaced(self._embedding_calls(), embeddings) as was_read:
            outputs = self._run()
        if not was_read:
            raise TrainingError(
                f"{type(self._unwrapped).__name__} ran without its input embedding layer",
                expected="a model whose forward pass looks its tokens up in get_input_embeddings()",
                fix="take the adversarial objective out of finetune.objective in params.yaml",
            )
        return outputs

    def _run(self) -> Any:
        if self.keeps_hidden_states:
            return self.model(**self.inputs, output_hidden_states=True)
        with first_token_only():
            return self.model(**self.inputs)

    @property
    def _unwrapped(self) -> Any:
        return unwrapped(self.model)

    def _embedding_layer(self) -> torch.nn.Module | None:
        layer: torch.nn.Module | None = self._unwrapped.get_input_embeddings()
        return layer

    def _embedding_calls(self) -> list[torch.nn.Module]:
        """Return the modules that may look the batch's tokens up.

        T5's encoder has an embedding of its own that shares the weights of the one it reports.
        """
        layer: Any = self._embedding_layer()
        inside = set(layer.modules()) - {layer}
        weight = getattr(layer, "weight", None)  # one whose used rows alone learn has none
        return [layer] + [
            module
            for module in self.model.modules()
            if isinstance(module, torch.nn.Embedding)
            and module is not layer
            and module not in inside
            and module.weight is weight
        ]


def unwrapped(model: Any) -> Any:
    """Return the model inside of what several processes (DDP) and the compiler put around it."""
    for name in ("module", "_orig_mod"):
        model = getattr(model, name, model)
    return model


@contextmanager
def _replaced(modules: list[torch.nn.Module], value: torch.Tensor) -> Iterator[list[bool]]:
    """Let the first call of any of the modules return ``value``; tell whether there was one.

    Only the first: a decoder that shares the encoder's embeddings is called after it.
    """
    calls: list[bool] = []

    def replace(*_: Any) -> torch.Tensor | None:
        calls.append(True)
        return value if len(calls) == 1 else None

    handles = [module.register_forward_hook(replace) for module in modules]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()
