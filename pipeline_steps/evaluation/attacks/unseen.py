"""Changes that a reader does not see (Boucher et al. 2022, Bad Characters)."""

from __future__ import annotations

import json
import random
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from pipeline_steps.evaluation.attacks.keyboard_moves import replaced
from pipeline_steps.evaluation.attacks.passage import Passage
from pipeline_steps.noise.letter_shapes import ZERO_WIDTH, lookalikes
from pipeline_steps.noise.resources import CONFUSABLES


@dataclass(frozen=True)
class Homoglyphs:
    """One character at a time made another that looks the same; needs the extra ``noise``.

    ASCII letters and digits become Latin, Greek, Cyrillic or Armenian ones; a Chinese character
    becomes what Unicode lists as confusable with it, which few have.
    """

    per_character: int = 2

    def __call__(self, passage: Passage, word: int, generator: random.Random) -> Iterator[str]:
        """Yield the word with each of its characters replaced by lookalikes."""
        text = passage.words[word].text
        for place, character in enumerate(text):
            like = lookalikes().get(character) or ideographs_like().get(character, "")
            drawn = generator.sample(like, min(self.per_character, len(like)))
            yield from (replaced(text, place, other) for other in drawn)


@dataclass(frozen=True)
class Invisible:
    """A character without width inside a word; behind a word of one character.

    Each character is tried at one drawn place: where a victim's tokenizer drops them, as BERT's
    does, more places would only cost queries.
    """

    characters: str = ZERO_WIDTH

    def __call__(self, passage: Passage, word: int, generator: random.Random) -> Iterator[str]:
        """Yield the word with one invisible character."""
        text = passage.words[word].text
        for unseen in self.characters:
            place = generator.randrange(1, max(2, len(text)))
            yield text[:place] + unseen + text[place:]


@cache
def ideographs_like() -> Mapping[str, str]:
    """Return Chinese character -> characters that look like it, by Unicode Technical Standard 39.

    Forms that compatibility normalisation (NFKC) makes that same character are among them: whether
    a victim undoes them is what the attack finds out.
    """
    found = {
        character: "".join(entry["c"] for entry in entries if len(entry["c"]) == 1)
        for character, entries in json.loads(CONFUSABLES.read()).items()
        if len(character) == 1 and unicodedata.name(character, "").startswith("CJK UNIFIED")
    }
    return {character: like for character, like in found.items() if like}
