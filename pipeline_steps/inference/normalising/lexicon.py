"""Words that a model knows, and which of them an unknown word was meant to be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from pipeline_steps.inference.normalising.edits import shortened, slip

_LEAST_LETTERS = 3
_LEAST_PART = 3
_MOST_KEPT = 1 << 16
"""Unknown words whose reading is remembered; they come from outside, so there is no end of them."""


class Lexicon:
    """Words with weights, and an index that finds those one slip away (Garbe 2012, SymSpell).

    A word of little weight that is one slip from a word of much more stands for that one, as in
    robust encodings (Jones et al. 2020): who edits a word then meets the same word again. Words
    that stand for themselves are called heads.

    Parameters
    ----------
    weights : mapping
        Word in lower case -> how often it is expected.
    absorption : float
        A word stands for a neighbour whose weight times the slip's likelihood is so many times its
        own; 0: never.
    """

    def __init__(self, weights: Mapping[str, float], absorption: float = 0.0) -> None:
        self.weights = dict(weights)
        self._index: dict[str, list[str]] = defaultdict(list)
        self._heads: dict[str, str] = {}
        for word in sorted(weights, key=lambda word: (-weights[word], word)):
            head = self._stronger(word, absorption) if absorption else None
            self._heads[word] = head or word
            if head is None:
                self._enter(word)
        self._longest = max(map(len, weights), default=0)
        self._mended: dict[str, str] = {}

    def _stronger(self, word: str, absorption: float) -> str | None:
        if len(word) < _LEAST_LETTERS:
            return None
        return self._best(word, floor=self.weights[word] * absorption)

    def _enter(self, word: str) -> None:
        self._index[word].append(word)
        for shorter in shortened(word):
            self._index[shorter].append(word)

    def __contains__(self, word: str) -> bool:
        return word in self._heads

    def mended(self, word: str) -> str:
        """Return what a word in lower case was meant to be: a head, two of them, or itself.

        The work has a bound that no word from outside can move: one too long to be two known words
        is itself.
        """
        known = self._heads.get(word)
        if known is not None:
            return known
        if not _LEAST_LETTERS <= len(word) <= 2 * self._longest:
            return word
        found = self._mended.get(word)
        return self._kept(word) if found is None else found

    def _kept(self, word: str) -> str:
        if len(self._mended) >= _MOST_KEPT:
            self._mended.clear()
        found = self._mended[word] = self._mend(word)
        return found

    def _mend(self, word: str) -> str:
        return self._best(word) or self._parted(word) or self._further(word) or word

    def _best(self, word: str, floor: float = 0.0) -> str | None:
        """Return the likeliest head one slip away, of more than ``floor``."""
        best, most = None, floor
        for candidate in self._near(word):
            likely = self.weights[candidate] * slip(word, candidate)
            if likely > most:
                best, most = candidate, likely
        return best

    def _near(self, word: str) -> Iterable[str]:
        """Return the heads that are perhaps one slip away, each once, in a fixed order."""
        found = dict.fromkeys(self._index.get(word, ()))
        for shorter in shortened(word):
            found.update(dict.fromkeys(self._index.get(shorter, ())))
        return found

    def _parted(self, word: str) -> str | None:
        """Return two known words whose blank was lost, the likeliest."""
        best, most = None, 0.0
        for place in range(_LEAST_PART, len(word) - _LEAST_PART + 1):
            one, other = word[:place], word[place:]
            if one in self._heads and other in self._heads:
                likely = min(self.weights[one], self.weights[other])
                if likely > most:
                    best, most = f"{self._heads[one]} {self._heads[other]}", likely
        return best

    def _further(self, word: str) -> str | None:
        """Return a head two slips away, the likeliest; of longer words alone.

        The first letter stays: few misspellings are there (Kukich 1992), and the prefixes that turn
        a meaning round (``unlucky``) are two slips.
        """
        if not 2 * _LEAST_LETTERS <= len(word) <= self._longest + 2:
            return None
        scores: dict[str, float] = {}
        for between in _one_slip_back(word):
            for candidate in self._near(between):
                if candidate[0] != word[0]:
                    continue
                likely = self.weights[candidate] * slip(between, candidate)
                if likely > scores.get(candidate, 0.0):
                    scores[candidate] = likely
        return max(scores, key=lambda c: (scores[c], c), default=None)


def _one_slip_back(word: str) -> Iterable[str]:
    """Return the word without each letter, and with each pair of neighbours swapped."""
    swaps = (
        word[:place] + word[place + 1] + word[place] + word[place + 2 :]
        for place in range(len(word) - 1)
    )
    return dict.fromkeys([*shortened(word), *swaps])
