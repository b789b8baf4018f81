"""Tiny random models that write, with a word-level tokenizer: encoder-decoders and decoders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tiny_models import WORDS
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    BartConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MarianConfig,
    PreTrainedTokenizerFast,
    T5Config,
)

SPECIAL = ["<pad>", "</s>", "<unk>"]
CHAT_TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }} : {{ m['content'] }} </s> {% endfor %}"
    "{% if add_generation_prompt %}assistant : {% endif %}"
)
_ENDS = {"pad_token_id": 0, "eos_token_id": 1}
_BART = {
    "d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64,
    "max_position_embeddings": 64, "decoder_start_token_id": 0, "bos_token_id": 1,
    "forced_eos_token_id": 1, "dropout": 0.0, **_ENDS,
}  # fmt: skip
CONFIGURATIONS: dict[str, Any] = {
    "t5": lambda n: T5Config(
        vocab_size=n, d_model=32, d_kv=16, d_ff=64, num_layers=1, num_decoder_layers=1, num_heads=2,
        dropout_rate=0.0, decoder_start_token_id=0, **_ENDS,
    ),
    "t5-untied": lambda n: T5Config(
        vocab_size=n, d_model=32, d_kv=16, d_ff=64, num_layers=1, num_decoder_layers=1, num_heads=2,
        dropout_rate=0.0, decoder_start_token_id=0, tie_word_embeddings=False,
        feed_forward_proj="gated-gelu", **_ENDS,
    ),
    "bart": lambda n: BartConfig(vocab_size=n, **_BART),
    "marian": lambda n: MarianConfig(vocab_size=n, **_BART),
    "gpt2": lambda n: GPT2Config(
        vocab_size=n, n_positions=64, n_embd=32, n_layer=2, n_head=2, bos_token_id=1,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, **_ENDS,
    ),
    "llama": lambda n: LlamaConfig(
        vocab_size=n, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=64, bos_token_id=1,
        **_ENDS,
    ),
    "neox": lambda n: GPTNeoXConfig(
        vocab_size=n, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=64, bos_token_id=1, **_ENDS,
    ),
}  # fmt: skip
"""A tiny configuration of each architecture for a vocabulary of n words."""
DECODERS = ("gpt2", "llama", "neox")


def save_tiny_writer(
    path: Path, architecture: str, *, words: Sequence[str] = WORDS, chat: bool = False
) -> Path:
    """Return a directory with a random model that writes, and its tokenizer."""
    words = ["user", "assistant", ":", *dict.fromkeys(words)]
    torch.manual_seed(0)
    config = CONFIGURATIONS[architecture](len(SPECIAL) + len(words))
    kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    kind.from_config(config).save_pretrained(path)
    tokenizer = Tokenizer(
        models.WordLevel({w: i for i, w in enumerate([*SPECIAL, *words])}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if config.is_encoder_decoder:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="$A </s>", special_tokens=[("</s>", 1)]
        )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", eos_token="</s>",
        model_max_length=64,
    )  # fmt: skip
    if chat:
        fast.chat_template = CHAT_TEMPLATE
    fast.save_pretrained(path)
    return path
