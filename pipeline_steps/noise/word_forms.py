"""Inflections and opposites of English words, by rules of their spelling.

The rules know no dictionary: irregular forms (``went``) pass as other words, and opposites that
share no stem are only those in a short list (``good`` and ``bad``). Where the user has nltk and its
WordNet, its antonyms count too.
"""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache
from itertools import product
from typing import Any

_ENDINGS = (
    *("'s", "ingly", "edly", "ings", "ies", "ied", "ier", "iest", "ily", "ing"),
    *("est", "ers", "ed", "es", "er", "ly", "s", "d", "r"),
)
_OF_Y = ("ies", "ied", "ier", "iest", "ily")  # carry, happy
_LEAST_STEM = 3
_NEGATIONS = ("un", "in", "im", "il", "ir", "dis", "non", "mis", "anti")
_OPPOSITES = frozenset(
    frozenset(pair.split("/"))
    for pair in """good/bad good/worse better/worse best/worst great/terrible great/awful
    love/hate loved/hated
    loves/hates like/dislike happy/sad right/wrong true/false high/low up/down more/less
    most/least always/never all/none everything/nothing everyone/nobody easy/hard easy/difficult
    strong/weak fast/slow new/old young/old big/small large/small long/short first/last
    early/late open/closed open/close rich/poor hot/cold warm/cold hard/soft light/dark
    light/heavy win/lose won/lost success/failure positive/negative increase/decrease rise/fall
    rises/falls buy/sell before/after inside/outside male/female man/woman men/women boy/girl
    he/she black/white north/south east/west left/right many/few full/empty safe/dangerous
    clean/dirty alive/dead beautiful/ugly funny/boring interesting/boring smart/stupid
    best/worse with/without yes/no accept/reject accepted/rejected beginning/end start/stop
    start/end gain/loss profit/loss war/peace enemy/friend cheap/expensive wide/narrow
    deep/shallow thick/thin major/minor public/private internal/external maximum/minimum
    present/absent""".split()  # noqa: SIM905 - readable
)


STOP_WORDS = frozenset(
    """may might must shall
    a about above after again against all am an and any are aren't as at be because been before
    being below between both but by can cannot could couldn't did didn't do does doesn't doing
    don't down during each few for from further had hadn't has hasn't have haven't having he her
    here hers herself him himself his how i if in into is isn't it its itself just me more most
    my myself no nor not now of off on once only or other our ours ourselves out over own same
    she should shouldn't so some such than that the their theirs them themselves then there
    these they this those through to too under until up very was wasn't we were weren't what
    when where which while who whom why will with won't would wouldn't you your yours yourself
    yourselves never""".split()  # noqa: SIM905 - a list would be a line a word
)
"""Function words of English, negations among them: what a change of wording leaves alone."""


def same_lemma(first: str, second: str) -> bool:
    """Return whether two words seem to be forms of one, by their endings alone."""
    return bool(_stems(first.lower()) & _stems(second.lower()))


def are_opposites(first: str, second: str) -> bool:
    """Return whether one word says the contrary of the other, as far as spelling and lists tell."""
    one, other = first.lower(), second.lower()
    return (
        _negates(one, other)
        or _negates(other, one)
        or any(frozenset(pair) in _OPPOSITES for pair in product(_stems(one), _stems(other)))
        or other in wordnet_antonyms(one)
    )


def like_cased(word: str, model: str) -> str:
    """Return a word in the case of another: all capitals, a first capital, or as it is."""
    if len(model) > 1 and model.isupper():
        return word.upper()
    return word[:1].upper() + word[1:] if model[:1].isupper() else word


def _stems(word: str) -> set[str]:
    """Return what a word may be a form of; doubled consonants and a lost ``e`` are mended."""
    stems = {word}
    for ending in _ENDINGS:
        stem = word.removesuffix(ending)
        if stem == word or len(stem) + ending.startswith("i") < _LEAST_STEM:
            continue
        stems |= {stem, f"{stem}e"} if len(stem) >= _LEAST_STEM else set()
        if ending in _OF_Y:
            stems.add(f"{stem}y")
            continue
        if stem[-1] == stem[-2]:
            stems.add(stem[:-1])
    return stems


def _negates(negated: str, plain: str) -> bool:
    return (
        any(negated == prefix + plain for prefix in _NEGATIONS)
        or (negated.endswith("less") and plain == negated.removesuffix("less") + "ful")
        or negated in (f"not {plain}", f"{plain}n't")
    )


def has_wordnet() -> bool:
    """Return whether nltk and its WordNet are on this machine."""
    return _wordnet() is not None


@cache
def wordnet_synonyms(word: str) -> tuple[str, ...]:
    """Return single words that share a sense with a word in nltk's WordNet, commonest sense first.

    Nothing is returned where WordNet is not on this machine.
    """
    reader = _wordnet()
    if reader is None:
        return ()
    names = [lemma.name().lower() for synset in reader.synsets(word) for lemma in synset.lemmas()]
    return tuple(dict.fromkeys(name for name in names if name.isalpha() and name != word))


@cache
def wordnet_antonyms(word: str) -> frozenset[str]:
    """Return the antonyms of a word in nltk's WordNet; none where it is not on this machine."""
    reader = _wordnet()
    if reader is None:
        return frozenset()
    lemmas = [lemma for synset in reader.synsets(word) for lemma in synset.lemmas()]
    same = [lemma for lemma in lemmas if lemma.name().lower() == word]
    return frozenset(a.name().lower() for lemma in same for a in lemma.antonyms())


@cache
def _wordnet() -> Any:
    """Return nltk's reader of WordNet, or ``None``; nothing is downloaded."""
    if importlib.util.find_spec("nltk") is None:
        return None
    reader = importlib.import_module("nltk.corpus").wordnet
    try:
        reader.ensure_loaded()
    except LookupError:
        return None
    return reader
