"""A classifier that reads the mean of its body's last states, as sentence encoders are trained to.

Transformers' own heads read the first token's state, mostly through another layer. Here the last
matrix of the head alone stands above the mean; what else the head has is passed over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from transformers.modeling_outputs import SequenceClassifierOutput

from pipeline_steps.errors import TrainingError
from pipeline_steps.inference.anatomy import body, is_causal, stacks
from pipeline_steps.inference.first_token import untrim_last_layer


@dataclass(frozen=True)
class MeanPoolingSpec:
    """Classification from mean states.

    Parameters
    ----------
    head : str
        Name of the matrix that makes logits of a mean state.
    """

    head: str
    kind: Literal["mean_pooling"] = "mean_pooling"


def attach_mean_pooling(model: Any, spec: MeanPoolingSpec) -> list[torch.nn.Module]:
    """Return nothing that was added: the model reads its mean states with the weights it has.

    Raises
    ------
    TrainingError
        If the model has a decoder or reads in one direction.
    """
    if is_causal(model) or len(stacks(model)) > 1:
        raise TrainingError(
            f"mean states of {type(model).__name__}, which is no encoder",
            expected="an encoder such as BERT, RoBERTa, DistilBERT, DeBERTa or ModernBERT",
            fix="name a sentence encoder in finetune.base_model, or set finetune.few_shot to null",
        )
    untrim_last_layer(model)
    head, inner = model.get_submodule(spec.head), body(model)

    def forward(
        input_ids: torch.Tensor, attention_mask: torch.Tensor, **asked: Any
    ) -> SequenceClassifierOutput:
        read = inner(input_ids=input_ids, attention_mask=attention_mask, **asked)
        return SequenceClassifierOutput(
            logits=head(sentence_vectors(read.last_hidden_state, attention_mask)),
            hidden_states=read.hidden_states,
        )

    model.forward = forward
    return []


def sentence_vectors(hidden: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """Return the mean of the hidden states of the tokens that are no padding.

    Parameters
    ----------
    hidden : Tensor
        (n, length, width).
    attention_mask : Tensor
        (n, length), 1 for tokens and 0 for padding.

    Returns
    -------
    Tensor
        (n, width).
    """
    mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
