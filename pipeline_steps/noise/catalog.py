"""All kinds of noise: what each does, its rates at five severities, what it needs."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from pipeline_steps.noise.keyboard import edits, typos
from pipeline_steps.noise.layout import appended_text, casing, punctuation, truncation, whitespace
from pipeline_steps.noise.letter_shapes import confusables, zero_width
from pipeline_steps.noise.misspelling import misspellings
from pipeline_steps.noise.resources import (
    CONFUSABLES,
    FREQUENT_WORDS,
    MISSPELLINGS,
    PRONUNCIATIONS,
    Resource,
    require,
)
from pipeline_steps.noise.scanner import ocr
from pipeline_steps.noise.sound import homophones
from pipeline_steps.noise.words import contractions, word_loss, word_swap

KindName = Literal[
    "typos",
    "edits",
    "ocr",
    "misspellings",
    "confusables",
    "zero_width",
    "homophones",
    "contractions",
    "casing",
    "punctuation",
    "whitespace",
    "word_loss",
    "word_swap",
    "truncation",
    "appended_text",
]
Reach = Literal["letters", "words", "end"]
"""What noise touches: single words, several words and their order, or the end of a text."""
SEVERITIES = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Kind:
    """A kind of noise.

    Parameters
    ----------
    make : callable
        Takes a text, a rate and a generator; its docstring says what the rate is the share of.
    rates : tuple of float
        At severity 1 to 5.
    reach : str
        Whether words stay apart, and whether the text's end is meant.
    resources : tuple of Resource
        What it reads.
    """

    make: Callable[[str, float, random.Random], str]
    rates: tuple[float, float, float, float, float]
    reach: Reach = "letters"
    resources: tuple[Resource, ...] = ()


_FEW_LETTERS = (0.01, 0.02, 0.05, 0.1, 0.2)
_LETTERS = (0.02, 0.05, 0.1, 0.2, 0.4)
_MOST_WORDS = (0.05, 0.1, 0.2, 0.4, 0.8)
_SOME_WORDS = (0.05, 0.1, 0.2, 0.3, 0.5)
KINDS: dict[str, Kind] = {
    "typos": Kind(typos, _FEW_LETTERS),
    "edits": Kind(edits, _MOST_WORDS),
    "ocr": Kind(ocr, _LETTERS),
    "misspellings": Kind(misspellings, _MOST_WORDS, resources=(MISSPELLINGS,)),
    "confusables": Kind(confusables, _LETTERS, resources=(CONFUSABLES,)),
    "zero_width": Kind(zero_width, _LETTERS),
    "homophones": Kind(
        homophones, (0.1, 0.2, 0.4, 0.7, 1.0), resources=(PRONUNCIATIONS, FREQUENT_WORDS)
    ),
    "contractions": Kind(contractions, (0.2, 0.4, 0.6, 0.8, 1.0), "words"),
    "casing": Kind(casing, _MOST_WORDS),
    "punctuation": Kind(punctuation, (0.05, 0.1, 0.2, 0.4, 0.6)),
    "whitespace": Kind(whitespace, _FEW_LETTERS),
    "word_loss": Kind(word_loss, _SOME_WORDS, "words"),
    "word_swap": Kind(word_swap, _SOME_WORDS, "words"),
    "truncation": Kind(truncation, (0.1, 0.2, 0.3, 0.4, 0.5), "end"),
    "appended_text": Kind(appended_text, (0.1, 0.2, 0.4, 0.7, 1.0), "end"),
}
"""Name -> kind, for every name in ``KindName``."""


def perturb(text: str, kind: str, rate: float, *, seed: int, example_id: str) -> str:
    """Return a noisy version of a text; rate 0 returns it unchanged, and nothing empties it.

    The result depends on the arguments only, not on other rows or their order.

    Parameters
    ----------
    text : str
        What was written.
    kind : str
        One of ``KINDS``.
    rate : float
        How much of it, from 0 to 1; each kind says of what.
    seed, example_id
        Together they seed the randomness.

    Raises
    ------
    MissingDependencyError
        If the kind reads a resource that is not installed.
    """
    key = hashlib.blake2b(f"{seed}:{kind}:{example_id}".encode(), digest_size=8).digest()
    generator = random.Random(int.from_bytes(key, "little"))  # noqa: S311 - no secret
    changed = KINDS[kind].make(text, rate, generator)
    return changed if changed.strip() else text


def perturb_within(text: str, kind: str, rate: float, *, seed: int, example_id: str) -> str:
    """Return a noisy version of a piece of a text, as :func:`perturb`.

    Where the kind loses and moves words, the blanks around the piece stay, so that it does not
    grow together with what stands beside it.
    """
    core = text.strip() if KINDS[kind].reach == "words" else text
    if not core:
        return text
    before, after = text.split(core, 1)
    return before + perturb(core, kind, rate, seed=seed, example_id=example_id) + after


def rate_of(kind: str, severity: int) -> float:
    """Return the rate of a kind at a severity from 1 to 5.

    Examples
    --------
    >>> rate_of("typos", 3)
    0.05
    """
    return KINDS[kind].rates[severity - 1]


def resources_of(kind: str) -> dict[str, str]:
    """Return package -> installed version of what a kind reads, empty where it reads nothing."""
    return {resource.distribution: resource.version() for resource in KINDS[kind].resources}


def require_resources(kinds: Iterable[str]) -> None:
    """Refuse if a package that one of the kinds reads is not installed.

    Raises
    ------
    MissingDependencyError
        With all that are missing.
    """
    require(resource for kind in kinds for resource in KINDS[kind].resources)
