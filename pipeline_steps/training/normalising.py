"""The tokenizer of a training, with the normaliser that ``finetune.normalisation`` asks for."""

from __future__ import annotations

from transformers import PreTrainedTokenizerBase

from pipeline_steps.inference.examples_file import read_examples
from pipeline_steps.inference.normalising.building import build_normaliser
from pipeline_steps.inference.tokenization import load_tokenizer, with_normaliser
from pipeline_steps.training.inputs import Inputs


def tokenizer_for(inputs: Inputs) -> PreTrainedTokenizerBase:
    """Return the base's tokenizer; texts are normalised as the base's checkpoint did, or anew.

    The vocabulary of a new normaliser is counted in the training rows alone.
    """
    tokenizer = load_tokenizer(inputs.base.path)
    params = inputs.params.normalisation
    if params is None:
        return tokenizer
    rows = read_examples(inputs.train.path)
    texts = [text for column in (rows.texts, rows.pairs) for text in column if text]
    return with_normaliser(tokenizer, build_normaliser(texts, tokenizer, params))
