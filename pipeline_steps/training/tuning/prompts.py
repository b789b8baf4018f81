"""Learnt vectors before the text of a frozen model: prompt tuning and prefix tuning.

The vectors act through hooks of our own, not through peft. peft prompts only under a task type, and
then adds heads of its own choice (a pooler stays random); it feeds a classifier the hidden state of
the first learnt vector in place of the first token's; and its prompts break token tasks. What works
here:

========================================  ======  ======
base model                                prompt  prefix
========================================  ======  ======
BERT, RoBERTa, GPT-2, Llama                yes     yes
DistilBERT, DeBERTa, ModernBERT            yes     no: their layers accept no past keys and values
T5 and others with encoder and decoder     no      no
========================================  ======  ======
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from pipeline_steps.inference.unmerged.prompts import PrefixSpec, PromptSpec
from pipeline_steps.inference.unmerged.storage import Spec, Unmerged, added_tensors, attach
from pipeline_steps.training.tuning.method import train_only


@dataclass(frozen=True)
class PromptTuning:
    """Vectors beside the token embeddings, and the head, learn (Lester et al. 2021).

    Parameters
    ----------
    n_tokens : int
        Learnt vectors; beyond 20 the authors saw little gain.
    seed : int
        Same seed, same initial vectors.

    References
    ----------
    Lester, Al-Rfou & Constant (2021). The power of scale for parameter-efficient prompt tuning.
    EMNLP. It approaches full tuning only in models of billions of parameters.
    """

    n_tokens: int = 20
    seed: int = 0

    def apply(self, model: torch.nn.Module, head_names: Sequence[str]) -> torch.nn.Module:
        """Return the model that puts the vectors into its input.

        Raises
        ------
        TrainingError
            If the body accepts no embeddings in place of ids.
        """
        return _attached(model, head_names, PromptSpec(self.n_tokens), self.seed)

    def finish(self, model: torch.nn.Module) -> torch.nn.Module:
        """Return the model with the prompt that is saved beside its weights."""
        return Unmerged(model, PromptSpec(self.n_tokens))


@dataclass(frozen=True)
class PrefixTuning:
    """Keys and values of every layer, and the head, learn (Li & Liang 2021; Liu et al. 2022).

    The vectors learn directly, as in P-tuning v2, without Li & Liang's reparametrisation.

    Parameters
    ----------
    n_tokens : int
        Learnt positions in each layer.
    seed : int
        Same seed, same initial vectors.

    References
    ----------
    Li & Liang (2021). Prefix-tuning: Optimizing continuous prompts for generation. ACL. Liu et al.
    (2022). P-tuning: Prompt tuning can be comparable to fine-tuning across scales and tasks. ACL.
    """

    n_tokens: int = 20
    seed: int = 0

    def apply(self, model: torch.nn.Module, head_names: Sequence[str]) -> torch.nn.Module:
        """Return the model whose layers attend to the vectors.

        Raises
        ------
        TrainingError
            If the layers accept no past keys and values.
        """
        return _attached(model, head_names, PrefixSpec(self.n_tokens), self.seed)

    def finish(self, model: torch.nn.Module) -> torch.nn.Module:
        """Return the model with the prefix that is saved beside its weights."""
        return Unmerged(model, PrefixSpec(self.n_tokens))


def _attached(
    model: torch.nn.Module, head_names: Sequence[str], spec: Spec, seed: int
) -> torch.nn.Module:
    (prompt,) = attach(model, spec)
    device = prompt.vectors.device
    prompt.cpu().initialise(torch.Generator().manual_seed(seed))
    prompt.to(device)
    train_only(model, {*added_tensors(model.state_dict()), *head_names})
    return model
