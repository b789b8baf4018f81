"""Other words in the place of words: synonyms, and words that come back from a pivot."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline_steps.errors import TrainingError
from pipeline_steps.inference.word_neighbours import WordNeighbours
from pipeline_steps.noise.places import WORD, changed_places, in_case_of, is_plainly_cased
from pipeline_steps.noise.word_forms import (
    STOP_WORDS,
    are_opposites,
    has_wordnet,
    same_lemma,
    wordnet_synonyms,
)
from pipeline_steps.objective_params import AugmentationParams
from pipeline_steps.training.word_swaps import Swaps, read_swaps

Options = Callable[[str], Sequence[str]]
_LOOKED_AT = 12
_MOST = 5
_LEAST_COSINE = 0.5  # what textfooler_strict asks for, too


@dataclass(frozen=True)
class Rewording:
    """One way to reword: what may stand in a word's place, and for which share of the words."""

    name: str
    rate: float
    options: Options

    def __call__(self, text: str, *, seed: int, example_id: str) -> str:
        """Return a text with other words; it depends on the arguments alone."""
        key = hashlib.blake2b(f"{seed}:{self.name}:{example_id}".encode(), digest_size=8).digest()
        generator = random.Random(int.from_bytes(key, "little"))  # noqa: S311 - no secret
        return changed_places(text, WORD, self.rate, generator, self.options)


def rewordings_of(params: AugmentationParams, base: Path) -> tuple[Rewording, ...]:
    """Return the rewordings that ``finetune.augmentation`` asks for.

    Parameters
    ----------
    params : AugmentationParams
        Rates and sources.
    base : Path
        The model whose token vectors say which words are near each other. They are those it begins
        with, so that a resumed training reads what an undisturbed one does.

    Raises
    ------
    TrainingError
        If WordNet is asked for and not here, or a dictionary cannot be read.
    """
    found = []
    if params.synonyms > 0:
        found.append(Rewording("synonyms", params.synonyms, _synonyms(params, base)))
    if params.back_swaps > 0:
        swaps = read_swaps(params.swap_words)
        found.append(Rewording("back_swaps", params.back_swaps, partial(swapped, swaps)))
    return tuple(found)


def swapped(swaps: Swaps, word: str) -> list[str]:
    """Return what a word may come back as, in its case."""
    found = swaps.get(word.lower(), ())
    return [in_case_of(other, word) for other in found] if is_plainly_cased(word) else []


def fitting(word: str, near: Sequence[str]) -> list[str]:
    """Return the first few words that are no form and no opposite of a word, in its case.

    Function words have no synonyms: their neighbours say something else.
    """
    if word.lower() in STOP_WORDS or not is_plainly_cased(word):
        return []
    kept = [
        new
        for new in near
        if new not in STOP_WORDS and not same_lemma(word, new) and not are_opposites(word, new)
    ]
    return [in_case_of(new, word) for new in kept[:_MOST]]


def _synonyms(params: AugmentationParams, base: Path) -> Options:
    if params.synonyms_from == "wordnet":
        if not has_wordnet():
            raise TrainingError(
                "finetune.augmentation.synonyms_from is wordnet, and nltk's WordNet is not here",
                expected="nltk with its corpus wordnet",
                fix="pip install nltk && python -m nltk.downloader wordnet, or synonyms_from: "
                "vectors",
            )
        return lambda word: fitting(word, wordnet_synonyms(word.lower()))
    neighbours = WordNeighbours.of_base(base)

    def near(word: str) -> Sequence[str]:
        found = neighbours(word, _LOOKED_AT)
        return fitting(word, [new for new, cosine in found if cosine >= _LEAST_COSINE])

    return near
