"""Words that stand for each other by way of a third: back-translation with a dictionary for models.

A dictionary of two columns says for each word its pivot: its translation, or the form that it is a
variant of. A word goes to its pivot and comes back as another word of the same pivot, as a text
that is translated and translated back comes back in other words (Sennrich et al. 2016), one word at
a time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline_steps.errors import TrainingError
from pipeline_steps.noise.places import WORD
from pipeline_steps.noise.resources import BRITISH_AMERICAN

Swaps = Mapping[str, tuple[str, ...]]
"""Word -> the other words of its pivots, sorted; all in lower case."""
_COLUMNS = 2


def read_swaps(path: str | None) -> Swaps:
    """Return the swaps of a user's dictionary; by default of British and American spellings.

    Parameters
    ----------
    path : str, optional
        A UTF-8 file with a word, a tab and its pivot on each line. A word must be a single one; a
        pivot may be anything.

    Raises
    ------
    TrainingError
        If a line is not of that form, or nothing in the file stands for anything else.
    MissingDependencyError
        If there is no file and the package with the spellings is not installed.
    """
    if path is None:
        return swaps_of(_spellings())
    found = swaps_of(_pairs(Path(path)))
    if not found:
        raise TrainingError(
            f"finetune.augmentation.swap_words: no two words in {path} share a pivot",
            expected="lines `word<TAB>pivot`, some pivots with several words",
            fix="give each word its translation as pivot, or set swap_words to null",
        )
    return found


def swaps_of(pairs: Iterable[tuple[str, str]]) -> Swaps:
    """Return the swaps of words with their pivots.

    Examples
    --------
    >>> swaps_of([("car", "auto"), ("automobile", "auto"), ("house", "haus")])
    {'automobile': ('car',), 'car': ('automobile',)}
    """
    words: dict[str, set[str]] = defaultdict(set)
    for word, pivot in pairs:
        words[pivot.lower()].add(word.lower())
    others: dict[str, set[str]] = defaultdict(set)
    for together in words.values():
        for word in together:
            others[word] |= together - {word}
    return {word: tuple(sorted(others[word])) for word in sorted(others) if others[word]}


def _spellings() -> Iterable[tuple[str, str]]:
    """Yield British and American spellings, the American one as the pivot of both."""
    for line in BRITISH_AMERICAN.read().splitlines():
        british, _, american = line.partition("->")
        if WORD.fullmatch(british) and WORD.fullmatch(american):  # several: not a plain pair
            yield from ((british, american), (american, american))


def _pairs(path: Path) -> Iterable[tuple[str, str]]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        columns = [column.strip() for column in line.split("\t")]
        if not line.strip():
            continue
        if len(columns) != _COLUMNS or not all(columns) or not WORD.fullmatch(columns[0]):
            raise TrainingError(
                f"{path}, line {number}: {line!r}",
                expected="one word, a tab, its pivot",
                fix="correct the line, or take it out",
            )
        yield columns[0], columns[1]
