"""A tiny base model from scratch for the problems whose answer is written.

It has learnt nothing: it shows the path that a pretrained model takes, and no more. The tokenizer
is learnt on the example's own rows, test rows included.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from examples.rows import Row, read_rows

PAD, END, UNKNOWN = "<pad>", "</s>", "<unk>"
SPECIAL_IDS = {"pad_token_id": 0, "eos_token_id": 1}
MAX_LENGTH = 256
_VOCABULARY = 1000


def learnt_tokenizer(texts: Iterable[str], *, ends: bool) -> Any:
    """Return a byte-level BPE tokenizer; ``ends``: what it reads is closed by the end token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY,
        special_tokens=[PAD, END, UNKNOWN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    if ends:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"$A {END}", special_tokens=[(END, 1)]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        unk_token=UNKNOWN,
        model_max_length=MAX_LENGTH,
    )


def make_base(
    texts_of: Callable[[Row], Iterable[str]],
    config_of: Callable[[int], Any],
    *,
    chat_template: str | None = None,
) -> None:
    """Write a random model with a learnt tokenizer, as the command line asks.

    Parameters
    ----------
    texts_of : callable
        The texts of a row that the tokenizer learns from.
    config_of : callable
        The configuration of transformers for a vocabulary of so many tokens.
    chat_template : str, optional
        How a decoder is asked.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    parser = argparse.ArgumentParser()
    parser.add_argument("rows", type=Path, help="the rows that the tokenizer is learnt on")
    parser.add_argument("directory", type=Path, help="where the base model goes")
    asked = parser.parse_args()
    texts = [text for row in read_rows(asked.rows) for text in texts_of(row)]
    tokenizer = learnt_tokenizer(texts, ends=config_of(_VOCABULARY).is_encoder_decoder)
    tokenizer.chat_template = chat_template
    config = config_of(len(tokenizer))
    torch.manual_seed(0)
    kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    model = kind.from_config(config)
    model.save_pretrained(asked.directory)
    tokenizer.save_pretrained(asked.directory)
    print(f"{asked.directory}: {model.num_parameters():,} weights, {len(tokenizer)} tokens")
