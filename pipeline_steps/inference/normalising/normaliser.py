"""The normaliser of a checkpoint: a function of texts that is saved beside the weights."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pipeline_steps.digests import value_digest
from pipeline_steps.errors import CheckpointError
from pipeline_steps.files import write_text_atomically
from pipeline_steps.inference.normalising.characters import unmasked, visible
from pipeline_steps.inference.normalising.lexicon import Lexicon

FILE = "normaliser.json"
_UNSPACED = r"\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
WORD = re.compile(rf"[@$]?[^\W_{_UNSPACED}]+(?:[@$]+[^\W_{_UNSPACED}]+)*[@$]?")
"""Letters and digits of scripts with blanks, with signs that stand for letters."""
_NUMBER = re.compile(r"\d+(?:st|nd|rd|th|s|k|m)?")
_MOST_FOREIGN = 2
_SPLIT = 0.01
"""Rounded guess: of so many occurrences of a word one has a blank in it."""


@dataclass(frozen=True)
class Normaliser:
    """Makes a text what the model knows; the same text always the same, and that again itself.

    Parameters
    ----------
    weights : mapping
        Word in lower case -> how often it is expected; empty: spelling is left alone.
    folds : mapping
        Character that is not ASCII -> the ASCII letter or digit that it looks like.
    absorption : float
        See :class:`Lexicon`.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    folds: Mapping[str, str] = field(default_factory=dict)
    absorption: float = 0.0

    def __call__(self, text: str) -> str:
        """Return the normalised text."""
        text = unmasked(visible(text), self.folds)
        if not self.weights:
            return text
        while (changed := self._once(text)) != text:  # ends: each turn leaves fewer unknown words
            text = changed
        return text

    def _once(self, text: str) -> str:
        return WORD.sub(self._mended, self._drawn_together(text))

    def _mended(self, word: re.Match[str]) -> str:
        plain = word[0].lower()
        if not _may_be_misspelt(plain):
            return word[0]
        mended = self._lexicon.mended(plain)
        return word[0] if mended == plain else _cased(mended, word[0])

    def _drawn_together(self, text: str) -> str:
        """Return the text without blanks that part a known word."""
        words = list(WORD.finditer(text))
        parts, position, place = [], 0, 0
        while place + 1 < len(words):
            one, other = words[place], words[place + 1]
            whole = self._whole(text, one, other)
            if whole is None:
                place += 1
                continue
            parts += [text[position : one.start()], whole]
            position = other.end()
            place += 2
        return "".join([*parts, text[position:]])

    def _whole(self, text: str, one: re.Match[str], other: re.Match[str]) -> str | None:
        if text[one.end() : other.start()] not in (" ", "\t"):
            return None
        whole = one[0] + other[0]
        lower, known = whole.lower(), self.weights
        if lower not in known:
            return None
        apart = known.get(one[0].lower(), 0.0) * known.get(other[0].lower(), 0.0) / self._total
        return whole if _SPLIT * known[lower] > apart else None

    @cached_property
    def _lexicon(self) -> Lexicon:
        return Lexicon(self.weights, self.absorption)

    @cached_property
    def _total(self) -> float:
        return sum(self.weights.values())

    @cached_property
    def digest(self) -> str:
        """The sha256 digest of all that it does."""
        return value_digest(self._content())

    def _content(self) -> dict[str, object]:
        return {
            "weights": dict(self.weights),
            "folds": dict(self.folds),
            "absorption": self.absorption,
        }

    def save(self, directory: Path) -> None:
        """Write it into a checkpoint."""
        content = {**self._content(), "digest": self.digest}
        write_text_atomically(directory / FILE, json.dumps(content, ensure_ascii=False))


def load_normaliser(directory: Path) -> Normaliser | None:
    """Return the normaliser of a checkpoint; ``None`` where it has none.

    Raises
    ------
    CheckpointError
        If it is not what was written.
    """
    path = directory / FILE
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        digest = content.pop("digest")
        found = Normaliser(**content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{path} is no normaliser: {error}",
            expected="the file as the training wrote it",
            fix="remove the checkpoint and run holdfast train again",
        ) from error
    if found.digest != digest:
        raise CheckpointError(
            f"{path} was altered",
            expected=f"content with digest {digest}",
            fix="remove the checkpoint and run holdfast train again",
        )
    return found


def _may_be_misspelt(word: str) -> bool:
    """Return whether a word is one of letters, few of which are signs or digits; not ``2nd``."""
    if _NUMBER.fullmatch(word):
        return False
    foreign = sum(not character.isalpha() for character in word)
    return foreign == 0 or (foreign <= _MOST_FOREIGN and 2 * foreign < len(word))


def _cased(word: str, like: str) -> str:
    if len(like) > 1 and like.isupper():
        return word.upper()
    return word[:1].upper() + word[1:] if like[:1].isupper() else word
