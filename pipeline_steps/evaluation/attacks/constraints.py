"""What a changed row must keep."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline_steps.evaluation.attacks.passage import FRONT, SLOT, Edits, Passage, count_words
from pipeline_steps.noise.word_forms import STOP_WORDS


@dataclass(frozen=True)
class MaxEditDistance:
    """At most so many insertions, deletions and substitutions of characters over all words."""

    limit: int

    def __call__(self, passage: Passage, edits: Edits) -> bool:
        """Return whether the edits are within the limit (Levenshtein 1966)."""
        return sum(edit_distance(passage.words[i].text, new) for i, new in edits.items()) <= (
            self.limit
        )


@dataclass(frozen=True)
class MaxChangedShare:
    """At most this share of the words, and always at least one of them."""

    share: float

    def __call__(self, passage: Passage, edits: Edits) -> bool:
        """Return whether few enough words are changed."""
        return len(edits) <= max(1, int(self.share * len(passage)))


@dataclass(frozen=True)
class MaxChangedWords:
    """At most so many words."""

    limit: int

    def __call__(self, passage: Passage, edits: Edits) -> bool:
        """Return whether few enough words are changed."""
        del passage
        return len(edits) <= self.limit


@dataclass(frozen=True)
class MinWordLength:
    """Only words of so many characters or more."""

    limit: int

    def __call__(self, passage: Passage, edits: Edits) -> bool:
        """Return whether all changed words are long enough."""
        return all(len(passage.words[word].text) >= self.limit for word in edits)


@dataclass(frozen=True)
class NoStopWords:
    """Function words stay as they are, in English (a closed list, and negations among them)."""

    words: frozenset[str] = STOP_WORDS

    def __call__(self, passage: Passage, edits: Edits) -> bool:
        """Return whether no function word is changed."""
        return not any(passage.words[word].text.lower() in self.words for word in edits)


@dataclass(frozen=True)
class UsableRow:
    """The changed row must still be one that validation lets pass, and read otherwise than before.

    A tagged token that is taken away is left as it was, so that tags still fit: it is no change.
    """

    def __call__(self, passage: Passage, edits: Edits) -> bool:
        """Return whether the problem finds no flaw in the row."""
        row, before = passage.changed(edits), passage.row
        same = all(row[name] == before[name] for name in ("text", "text_pair"))
        empty = not passage.text(edits).strip() or not row["text"].strip()
        return not same and not empty and not passage.problem.find_flaws(row)


def changed_words(passage: Passage, edits: Edits) -> int:
    """Return how many words differ from how they were written, or were put in."""
    return sum(
        max(1, count_words(new)) if passage.words[word].place in (SLOT, FRONT) else 1
        for word, new in edits.items()
        if passage.words[word].text != new
    )


def edit_distance(first: str, second: str) -> int:
    """Return how many insertions, deletions and substitutions turn one text into another."""
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        above, row[0] = row[0], i
        for j, b in enumerate(second, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (a != b))
    return row[-1]
