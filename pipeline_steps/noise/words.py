"""Words that are lost, change places, or are drawn together and apart."""

from __future__ import annotations

import random
import re

from pipeline_steps.noise.places import changed_places, in_case_of


def word_loss(text: str, rate: float, generator: random.Random) -> str:
    """Return a text without some of its words (Wei and Zou 2019, EDA); one at least is left.

    Parameters
    ----------
    text : str
        What was written.
    rate : float
        Probability that a word is lost; words stand between single blanks.
    generator : random.Random
        Which words.
    """
    words = text.split(" ")
    kept = [word for word in words if generator.random() >= rate]
    return " ".join(kept or [generator.choice(words)])


def word_swap(text: str, rate: float, generator: random.Random) -> str:
    """Return a text in which words change places with the next (Wei and Zou 2019, EDA).

    Parameters
    ----------
    text : str
        What was written.
    rate : float
        Probability that a word goes behind the next; words stand between single blanks.
    generator : random.Random
        Which words.
    """
    words = text.split(" ")
    for place in range(len(words) - 1):
        if generator.random() < rate:
            words[place], words[place + 1] = words[place + 1], words[place]
    return " ".join(words)


def contractions(text: str, rate: float, generator: random.Random) -> str:
    """Return a text with forms drawn together or apart (Ribeiro et al. 2020, CheckList); English.

    ``do not`` and ``don't`` stand for each other, and so on; ``do n't``, as tokenisers of treebanks
    write it, is drawn apart too. What is ambiguous (``'s``, ``'d``) is drawn together only.

    Parameters
    ----------
    text : str
        What was written.
    rate : float
        Probability that a form is changed.
    generator : random.Random
        Which forms.
    """
    return changed_places(text, _FORMS, rate, generator, _other_form)


def _other_form(form: str) -> list[str]:
    """Return the long form of a short one, or the short one of a long one, in its case."""
    plain = form.lower().replace("\u2019", "'").replace(" '", "'").replace(" n'", "n'")
    other = _LONG.get(plain) or _SHORT.get(plain)
    return [in_case_of(other, form)] if other else []


def _negations() -> dict[str, str]:
    """Return short -> long form of what stands with ``not``."""
    verbs = "are could did does do had has have is must need should was were would might"
    regular = {f"{verb}n't": f"{verb} not" for verb in verbs.split()}
    return {**regular, "can't": "cannot", "won't": "will not"}


def _pronouns() -> dict[str, str]:
    """Return short -> long form of what stands behind a pronoun."""
    verbs = {"'re": "are", "'ve": "have", "'ll": "will", "'m": "am"}
    behind = {"I": "'m 've 'll", **dict.fromkeys(("you", "we", "they"), "'re 've 'll")}
    behind |= dict.fromkeys(("he", "she", "it", "that", "there"), "'ll")
    return {
        f"{who}{short}".lower(): f"{who} {verbs[short]}".lower()
        for who, shorts in behind.items()
        for short in shorts.split()
    }


def _drawn_together_only() -> dict[str, str]:
    """Return long -> short form of what may also mean another: ``it's`` is it is or it has."""
    of_is = ("he", "she", "it", "that", "there", "what", "who", "where")
    of_would = ("i", "you", "he", "she", "we", "they")
    return {f"{who} is": f"{who}'s" for who in of_is} | {f"{w} would": f"{w}'d" for w in of_would}


_LONG = _negations() | _pronouns()
_SHORT = {long: short for short, long in _LONG.items()} | _drawn_together_only()


def _pattern() -> re.Pattern[str]:
    """Return what finds every form as whole words, the apostrophe straight or curled."""
    long = sorted(_SHORT, key=len, reverse=True)
    short = [re.sub(r"(n?')", r" ?\1", form).replace("'", "['\u2019]") for form in _LONG]
    return re.compile(rf"\b(?:{'|'.join([*long, *short])})\b", re.IGNORECASE)


_FORMS = _pattern()
