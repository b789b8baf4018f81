"""What the number of an attack does not see, in one sentence each: reports say it beside it."""

from __future__ import annotations

from collections.abc import Mapping

_LETTERS = "A drawn edit for each move: another seed breaks other rows, so one run understates it."
_WORDS = (
    "Near vectors are not the same meaning, and nothing checks the part of speech: a changed text "
    "may truly deserve another answer."
)
_NARROW = (
    "Few words pass such strict cosines, so little is tried: many rows hold because nothing may "
    "be changed in them."
)
_SAFE_LOOKING = "A tokenizer that drops or normalises these characters makes the attack void."

WEAKNESSES: Mapping[str, str] = {
    "deepwordbug": _LETTERS + " An edit may hit another word of the language.",
    "known_defence": "It knows this model's reader: numbers of other models are of other slips.",
    "textbugger": "Spelling and meaning are changed in one search: which breaks is not told.",
    "textbugger_characters": _LETTERS,
    "pruthi": "One misspelt word: what two do is not asked.",
    "pruthi2": "A greedy second edit: pairs of words that break together alone are missed.",
    "homoglyph": _SAFE_LOOKING,
    "invisible": _SAFE_LOOKING,
    "input_reduction": "It breaks nothing: it shows what the answer rests on, and is no accuracy.",
    "textfooler": _WORDS,
    "textfooler_strict": _NARROW,
    "pwws": _WORDS,
    "pwws_strict": _NARROW,
    "bae": "Words that fit the sentence need not mean the same: many such texts change the truth.",
    "genetic": "The population is small and drawn: another seed finds other texts.",
    "hotflip": "First-order gains mislead where the loss bends: other searches may break more.",
    "typos_proof": "A proof of one typing mistake of its moves, and of nothing beyond them.",
    "typos_cascade": "What holds may break by other words than the three that a beam of 4 tried.",
    "universal_trigger": "Its words may say something of their own (terrible, say), so that an "
    "answer that follows them is no fault; a weak trigger may also be a weak search.",
    "distractor": "A parser does not write these sentences: some answer the question after all.",
}
