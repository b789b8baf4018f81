"""Makes a tiny decoder (GPT-2) that knows nothing yet."""

from __future__ import annotations

from typing import Any

from examples.rows import Row
from examples.tiny_base import MAX_LENGTH, SPECIAL_IDS, make_base


def _config(n_tokens: int) -> Any:
    from transformers import GPT2Config

    return GPT2Config(
        vocab_size=n_tokens,
        n_positions=MAX_LENGTH,
        n_embd=128,
        n_layer=2,
        n_head=4,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=1,
        **SPECIAL_IDS,
    )


def _texts(row: Row) -> list[str]:
    return [row["document"], row["summary"]]


if __name__ == "__main__":
    make_base(_texts, _config)
