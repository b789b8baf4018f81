"""Makes a tiny decoder with a chat template (Llama) that knows nothing yet."""

from __future__ import annotations

from typing import Any

from examples.rows import Row
from examples.tiny_base import MAX_LENGTH, SPECIAL_IDS, make_base

CHAT_TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


def _config(n_tokens: int) -> Any:
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=n_tokens,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=MAX_LENGTH,
        bos_token_id=1,
        **SPECIAL_IDS,
    )


def _texts(row: Row) -> list[str]:
    return [f"{message['role']}: {message['content']}" for message in row["messages"]]


if __name__ == "__main__":
    make_base(_texts, _config, chat_template=CHAT_TEMPLATE)
