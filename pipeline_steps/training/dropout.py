"""Dropout (Srivastava et al. 2014) with masks that cost a CPU little, in layers and in attention.

torch draws a random number for every element, a tenth of a fine-tuning step. Here one 64-bit draw
decides four elements with 16 bits each, which meets the probability to 1/65,536. For attention with
dropout torch has no fused CPU kernel: it turns bfloat16 into fp32 and guards against queries that
may look at nothing, of which a text has none.
"""

from __future__ import annotations

from typing import Any

import torch

_LANES = 4
_LANE_VALUES = 65_536
_ATTENTION = "holdfast_lanes"


def keep_mask(like: torch.Tensor, p: float) -> torch.Tensor:
    """Return a random tensor of 0 (with probability p) and 1 / (1 - p), shaped as ``like``."""
    n = like.numel()
    draws = torch.empty(-(-n // _LANES), dtype=torch.int64).random_(-(2**63), None)
    lanes = draws.view(torch.int16)[:n].view(like.shape)
    mask = torch.empty(like.shape, dtype=like.dtype)
    torch.ge(lanes, round(p * _LANE_VALUES) - _LANE_VALUES // 2, out=mask)
    return mask.mul_(1 / (1 - p))


class LaneDropout(torch.nn.Dropout):
    """``torch.nn.Dropout`` with a cheap mask."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return values, a share ``p`` of them 0 and the others scaled by 1 / (1 - p)."""
        if not self.training or not 0 < self.p < 1:
            return super().forward(values)
        return values * keep_mask(values, self.p)


def lane_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Return attention's output (n, t, heads, d) for query, key and value (n, heads, t, d)."""
    if dropout == 0 or not _is_plain(module, attention_mask, kwargs):
        return _torch_attention(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = torch.matmul(query * scale, key.transpose(2, 3))
    if attention_mask is not None:
        scores = scores.masked_fill(~attention_mask, torch.finfo(scores.dtype).min)
    shares = torch.softmax(scores, dim=-1)
    shares = shares * keep_mask(shares, dropout)
    return torch.matmul(shares, value).transpose(1, 2).contiguous(), None


def use_lane_dropout(model: Any) -> None:
    """Let a model on a CPU drop out by lanes, where it does so in the plain way."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is torch.nn.Dropout:
                setattr(parent, name, LaneDropout(child.p).train(child.training))
    if model.config._attn_implementation == "sdpa":  # noqa: SLF001 - there is no public reader
        _register()
        model.set_attn_implementation(_ATTENTION)


def use_torch_attention(model: Any) -> None:
    """Undo what training changed in the attention; the dropout modules hold no weights."""
    if model.config._attn_implementation == _ATTENTION:  # noqa: SLF001
        model.set_attn_implementation("sdpa")


def _is_plain(module: torch.nn.Module, mask: torch.Tensor | None, settings: dict[str, Any]) -> bool:
    """Return whether this is attention in both directions with a head for every query."""
    return (
        (mask is None or mask.dtype == torch.bool)
        and not (settings.get("is_causal") or getattr(module, "is_causal", False))
        and getattr(module, "num_key_value_groups", 1) == 1
        and all(settings.get(name) is None for name in ("position_bias", "softcap", "cache"))
    )


def _torch_attention(*args: Any, **kwargs: Any) -> tuple[torch.Tensor, None]:
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    result: tuple[torch.Tensor, None] = sdpa_attention_forward(*args, **kwargs)
    return result


def _register() -> None:
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    AttentionInterface.register(_ATTENTION, lane_attention)
    AttentionMaskInterface.register(_ATTENTION, sdpa_mask)
