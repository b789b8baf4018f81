"""A digest of what a model made of a row: the signs of its mean hidden state.

They are taken along fixed random directions, so that two digests differ in a share of their bits
that is the angle between the states over pi (Charikar, "Similarity estimation techniques from
rounding algorithms", 2002): rows that the model reads alike are found where neither texts nor
vectors are kept.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from pipeline_steps.inference.anatomy import stacks
from pipeline_steps.inference.first_token import untrim_last_layer

BITS = 128
_SEED = 2002
_NDArray = np.ndarray[Any, Any]


class EmbeddingDigests:
    """Gathers the digests of rows while a model answers them.

    Rows are told apart by the token ids that the model reads, so it may batch and order them as
    it likes. For one thread.

    Parameters
    ----------
    model : torch.nn.Module
        One of transformers; of an encoder with a decoder the encoder is looked at.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self._found: dict[bytes, str] = {}
        untrim_last_layer(model)  # the mean is over all tokens
        stacks(model)[0].register_forward_hook(self._gather, with_kwargs=True)

    def take(self, token_ids: Sequence[Sequence[int] | None]) -> list[str | None]:
        """Return the digest of each row in hexadecimal, and forget them all.

        ``None`` for what was not read, and where the model shows no hidden states.
        """
        found, self._found = self._found, {}
        return [None if ids is None else found.get(_key(ids)) for ids in token_ids]

    def _gather(
        self,
        module: torch.nn.Module,  # noqa: ARG002 - the form of a hook
        positional: tuple[Any, ...],
        named: Mapping[str, Any],
        output: Any,
    ) -> None:
        ids = positional[0] if positional else named.get("input_ids")
        states = getattr(output, "last_hidden_state", None)
        # One column is a step of writing: what was asked has been read before.
        if ids is None or states is None or ids.shape[1] == 1:
            return
        is_token = _is_token(ids, named.get("attention_mask"))
        digests = digests_of(mean_states(states, is_token))
        kept = is_token.bool().cpu().numpy()
        for row, keep, digest in zip(ids.cpu().numpy(), kept, digests, strict=True):
            self._found[_key(row[keep])] = digest


def _is_token(ids: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Return which ids are no padding; a mask that a learnt prefix made longer loses it again."""
    return torch.ones_like(ids) if mask is None else mask[:, -ids.shape[1] :]


def mean_states(states: torch.Tensor, is_token: torch.Tensor) -> _NDArray:
    """Return the mean (n, width) of hidden states (n, length, width) over tokens (n, length)."""
    weights = is_token.to(torch.float32).unsqueeze(1)
    total = torch.bmm(weights, states.float()).squeeze(1)
    mean: _NDArray = (total / weights.sum(dim=2).clamp(min=1.0)).cpu().numpy()
    return mean


def digests_of(vectors: _NDArray) -> list[str]:
    """Return the digest of each vector (n, width): :data:`BITS` signs in hexadecimal."""
    signs = vectors @ _directions(vectors.shape[1]) > 0.0
    return [bits.tobytes().hex() for bits in np.packbits(signs, axis=1)]


def bits_apart(one: str, other: str) -> int:
    """Return in how many of :data:`BITS` bits two digests differ."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


@functools.cache
def _directions(width: int) -> _NDArray:
    """Return the directions (width, BITS), the same on every machine."""
    return np.random.default_rng(_SEED).standard_normal((width, BITS)).astype(np.float32)


def _key(ids: Sequence[int] | _NDArray) -> bytes:
    return np.asarray(ids, dtype=np.int64).tobytes()
