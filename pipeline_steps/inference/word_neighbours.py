"""Words near a word, by the table of a model's own token vectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline_steps.inference.tokenization import WORD_STARTS, be_quiet, load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Array = np.ndarray[Any, Any]
_LEAST_LETTERS = 3
_VOCABULARY = 10_000  # frequent words: what is rarer is mostly names


class WordNeighbours:
    """A thesaurus out of the vectors of frequent whole words.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        Says which tokens are whole words, the most frequent first.
    table : array
        The model's input embeddings (n_tokens, width).
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, table: Array) -> None:
        known = frequent_words(tokenizer.get_vocab())
        self.words = [word for _, word in known]
        self.vectors = unit(table[[token_id for token_id, _ in known]])
        self.places = {word: place for place, word in enumerate(self.words)}
        self._known: dict[str, list[tuple[str, float]]] = {}

    @classmethod
    def of_base(cls, path: Path) -> WordNeighbours:
        """Return those of the model in a directory."""
        from transformers import AutoModel

        be_quiet()
        model = AutoModel.from_pretrained(path, local_files_only=True)
        table = model.get_input_embeddings().weight.detach().float().cpu().numpy()
        return cls(load_tokenizer(path), table)

    def __call__(self, word: str, most: int) -> list[tuple[str, float]]:
        """Return up to ``most`` words by the cosine of their token vectors with a word's."""
        key = word.lower()
        if key not in self.places:
            return []
        if key not in self._known:
            cosines = self.vectors @ self.vectors[self.places[key]]
            order = np.argsort(-cosines, kind="stable")[: most + 1]
            found = [(self.words[place], float(cosines[place])) for place in order]
            self._known[key] = [(other, cosine) for other, cosine in found if other != key]
        return self._known[key][:most]


def frequent_words(vocabulary: dict[str, int]) -> list[tuple[int, str]]:
    """Return token ids and words of a vocabulary, lower-case ASCII letters, by their ids.

    Where tokens that begin a word carry a mark, the others are pieces of words and left out.

    Examples
    --------
    >>> frequent_words({"the": 5, "##ing": 1, "of": 2, "card": 9})
    [(5, 'the'), (9, 'card')]
    >>> frequent_words({"\u0120the": 5, "ing": 1, "\u0120card": 9})
    [(5, 'the'), (9, 'card')]
    """
    marked = any(token[:1] in WORD_STARTS for token in vocabulary if len(token) > 1)
    words: dict[str, int] = {}
    for token, token_id in sorted(vocabulary.items(), key=lambda item: item[1]):
        if marked and token[:1] not in WORD_STARTS:
            continue
        word = token[1:] if marked else token
        if word.isascii() and word.isalpha() and word.islower() and len(word) >= _LEAST_LETTERS:
            words.setdefault(word, token_id)
    return [(token_id, word) for word, token_id in words.items()][:_VOCABULARY]


def unit(vectors: Array) -> Array:
    """Return rows of length 1."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Array = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    return scaled
