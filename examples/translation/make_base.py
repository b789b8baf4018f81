"""Makes a tiny encoder-decoder (T5) that knows nothing yet."""

from __future__ import annotations

from typing import Any

from examples.rows import Row
from examples.tiny_base import SPECIAL_IDS, make_base


def _config(n_tokens: int) -> Any:
    from transformers import T5Config

    return T5Config(
        vocab_size=n_tokens,
        d_model=128,
        d_kv=32,
        d_ff=256,
        num_layers=2,
        num_heads=4,
        dropout_rate=0.0,
        decoder_start_token_id=0,
        **SPECIAL_IDS,
    )


def _texts(row: Row) -> list[str]:
    return [row["source"], row["target"]]


if __name__ == "__main__":
    make_base(_texts, _config)
