"""Batches, tiny models and a classification problem for the tests of objectives."""

from __future__ import annotations

from typing import Any

import torch
from tiny_models import TARGETS, configurations

from pipeline_steps.training.objectives.losses import (
    categorical_divergence,
    smoothed_cross_entropy,
)
from pipeline_steps.training.objectives.step import Step

ARCHITECTURES = tuple(TARGETS)
_DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout",
             "seq_classif_dropout", "embedding_dropout", "mlp_dropout", "classifier_dropout")  # fmt: skip


class Classification:
    """Cross-entropy of whole texts, in fp32 whatever the model computes in."""

    def loss(self, outputs: Any, labels: torch.Tensor, n_items: int) -> torch.Tensor:
        return smoothed_cross_entropy(outputs.logits, labels, n_items=n_items)

    def divergence(
        self, outputs: Any, target: Any, labels: torch.Tensor, n_items: int
    ) -> torch.Tensor:
        return categorical_divergence(outputs.logits, target.logits, n_items=n_items)


def tiny_classifier(
    architecture: str = "bert", *, dropout: float = 0.0, n_labels: int = 3, seed: int = 0
) -> Any:
    """Return a random classifier in training mode; weights large enough that inputs matter."""
    from transformers import AutoModelForSequenceClassification

    torch.manual_seed(seed)
    configuration = configurations()[architecture]
    configuration.num_labels = n_labels
    for name in _DROPOUTS:
        if hasattr(configuration, name):
            setattr(configuration, name, dropout)
    model = AutoModelForSequenceClassification.from_config(configuration)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1 and "embed" not in name:
                weight.normal_(0.0, 0.3)
    return model.train()


def with_lora(model: Any, architecture: str = "bert") -> Any:
    """Return the model with adapters and frozen embeddings."""
    from peft import LoraConfig, get_peft_model

    return get_peft_model(model, LoraConfig(r=2, target_modules=list(TARGETS[architecture])))


def batch() -> dict[str, torch.Tensor]:
    """Return four rows of 3 to 6 tokens, padded on the right."""
    ids = torch.tensor(
        [[2, 10, 11, 12, 13, 3], [2, 14, 15, 3, 0, 0], [2, 16, 3, 0, 0, 0], [2, 17, 18, 19, 3, 0]]
    )
    return {"input_ids": ids, "attention_mask": (ids != 0).long()}


def make_step(model: Any, **changes: Any) -> Step:
    """Return a step of four rows with labels 0, 1, 2, 0."""
    given = {"inputs": batch(), "labels": torch.tensor([0, 1, 2, 0]), "problem": Classification(),
             "n_items": 4}  # fmt: skip
    return Step(model, **{**given, **changes})


class BagOfEmbeddings(torch.nn.Module):
    """Logits are the sum of a row's embeddings, padding left out, times a matrix: simple slopes.

    A careless one reads the padding too.
    """

    def __init__(
        self, embeddings: torch.Tensor, weights: torch.Tensor, *, careless: bool = False
    ) -> None:
        super().__init__()
        self.careless = careless
        self.embed = torch.nn.Embedding.from_pretrained(embeddings, freeze=False)
        self.weights = torch.nn.Parameter(weights)

    def get_input_embeddings(self) -> torch.nn.Module:
        return self.embed

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        from transformers.modeling_outputs import SequenceClassifierOutput

        counted = torch.ones_like(attention_mask) if self.careless else attention_mask
        embedded = self.embed(input_ids) * counted.unsqueeze(-1)
        return SequenceClassifierOutput(logits=embedded.sum(dim=1) @ self.weights)


def bag_of_embeddings(*, careless: bool = False) -> BagOfEmbeddings:
    """Return a model of three tokens in two dimensions with two classes.

    The slope of the loss of a row with label 0 by each of its embeddings is p_1 (w_1 - w_0), here
    p_1 (-3, 4): of direction (-0.6, 0.8) at each token.
    """
    embeddings = torch.tensor([[0.0, 0.0], [0.5, 0.1], [-0.2, 0.3]])
    return BagOfEmbeddings(embeddings, torch.tensor([[3.0, 0.0], [0.0, 4.0]]), careless=careless)


def bag_step(model: BagOfEmbeddings | None = None) -> Step:
    """Return a row of two tokens and one of one token and padding, both of label 0."""
    ids = torch.tensor([[1, 2], [1, 0]])
    return Step(
        model or bag_of_embeddings(),
        {"input_ids": ids, "attention_mask": torch.tensor([[1, 1], [1, 0]])},
        torch.tensor([0, 0]),
        Classification(),
        n_items=2,
    )


def gradients(loss: torch.Tensor, model: Any) -> list[torch.Tensor]:
    """Return the gradients of all trainable weights, zeros where there is none."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    found = torch.autograd.grad(loss, weights, allow_unused=True)
    return [torch.zeros_like(w) if g is None else g for w, g in zip(weights, found, strict=True)]
