"""The last layer of an encoder that answers by its first token, computed for that token alone.

The heads of BERT and its kin (RoBERTa, ELECTRA, DeBERTa and others of that build) read the last
state of the first token. What the last layer does behind its attention is done token by token, so
the other tokens need not go through it: of six layers that saves a ninth of the time, and the
answers are the same but for rounding. Whoever reads other states does not ask for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import torch

from pipeline_steps.inference.anatomy import body

_asked: ContextVar[bool] = ContextVar("first_token_only", default=False)
_TRIMS = "first_token_trims"  # an attribute, which a copy of the model has as well
_TRIAL_TOKENS = 8
_TOLERANCE = 1e-4  # of logits in fp32: another order of summing moves them by 1e-6


def first_token_only() -> AbstractContextManager[None]:
    """Let trimmed models, in this thread, compute no more than their logits need."""
    return _asking(enough=True)


def as_before() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Return contexts of a pass and of its repetition for gradients: the same tokens in both."""
    return nullcontext(), _asking(enough=_asked.get())


@contextmanager
def _asking(*, enough: bool) -> Iterator[None]:
    before = _asked.set(enough)
    try:
        yield
    finally:
        _asked.reset(before)


def trim_last_layer(model: torch.nn.Module) -> bool:
    """Return whether a model answers by its first token alone, and make use of it when asked.

    That it does is seen on a trial text: the logits stay as they are. A model of another build is
    left as it is.
    """
    end = _behind_attention(model)
    if end is None or is_trimmed(model):
        return end is not None
    if not hasattr(end, _TRIMS):
        end.register_forward_pre_hook(_keep_first)
    end.first_token_trims = False
    whole = _trial_logits(model)
    end.first_token_trims = True
    try:
        with first_token_only():
            trimmed = _trial_logits(model)
    except (IndexError, RuntimeError):  # something behind the layer needs the other tokens
        trimmed = None
    end.first_token_trims = _are_alike(whole, trimmed)
    return is_trimmed(model)


def untrim_last_layer(model: torch.nn.Module) -> None:
    """Let a model compute the states of all tokens again, whoever asks."""
    end = _behind_attention(model)
    if end is not None:
        end.first_token_trims = False


def is_trimmed(model: torch.nn.Module) -> bool:
    """Return whether a model computes its last layer for the first token alone when asked to."""
    return bool(getattr(_behind_attention(model), _TRIMS, False))


def _behind_attention(model: torch.nn.Module) -> Any:
    """Return the module that takes (attended, residual) in the last layer of a model like BERT."""
    layers = getattr(getattr(body(model), "encoder", None), "layer", None)
    if not isinstance(layers, torch.nn.ModuleList) or not len(layers):
        return None
    last = layers[-1]
    if not (hasattr(last, "intermediate") and hasattr(last, "output")):
        return None
    return getattr(getattr(last, "attention", None), "output", None)


def _are_alike(whole: torch.Tensor | None, trimmed: torch.Tensor | None) -> bool:
    """Return whether two texts get the same logits; a head that answers all alike says nothing."""
    if (
        whole is None
        or trimmed is None
        or whole.shape != trimmed.shape
        or torch.equal(whole[0], whole[1])
    ):
        return False
    return torch.allclose(whole, trimmed, rtol=_TOLERANCE, atol=_TOLERANCE)


def _keep_first(end: torch.nn.Module, states: tuple[Any, ...]) -> tuple[Any, ...] | None:
    if torch.compiler.is_compiling() or not (_asked.get() and getattr(end, _TRIMS, False)):
        return None
    if not all(isinstance(state, torch.Tensor) for state in states):
        return None  # an integer model hands scales on as well
    # Rows that lie apart in memory are multiplied another way, which in bf16 rounds otherwise.
    return tuple(state[:, :1].contiguous() for state in states)


def _trial_logits(model: Any) -> torch.Tensor | None:
    """Return the logits, if it has any, of a text and of the first half of it, padded."""
    device = next(model.parameters()).device
    ids = torch.arange(_TRIAL_TOKENS, device=device).repeat(2, 1) * 7 % model.config.vocab_size
    mask = torch.ones_like(ids)
    mask[1, _TRIAL_TOKENS // 2 :] = 0
    was_training = model.training
    with torch.inference_mode():
        logits = getattr(model.eval()(input_ids=ids, attention_mask=mask), "logits", None)
    model.train(was_training)
    return None if logits is None else logits.float()
