"""The attacks by name: what each is made of, whose it is, and where it deviates."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from pipeline_steps.evaluation.attacks.constraints import (
    MaxChangedShare,
    MaxChangedWords,
    MaxEditDistance,
    MinWordLength,
    NoStopWords,
    UsableRow,
)
from pipeline_steps.evaluation.attacks.exhaustive import Cascade, Exhaustive
from pipeline_steps.evaluation.attacks.genetic import Genetic
from pipeline_steps.evaluation.attacks.greedy import Beam, Greedy
from pipeline_steps.evaluation.attacks.hotflip import HotFlip
from pipeline_steps.evaluation.attacks.keyboard_moves import InnerEdits, TextBuggerMoves
from pipeline_steps.evaluation.attacks.pwws import WeightedSaliency
from pipeline_steps.evaluation.attacks.readings import DifferentReadings
from pipeline_steps.evaluation.attacks.recipe import Recipe, named
from pipeline_steps.evaluation.attacks.reduction import Reduction
from pipeline_steps.evaluation.attacks.search import (
    FLIPS,
    MASKED,
    NEIGHBOURS,
    READINGS,
    SIMILARITY,
    Ranking,
    Search,
    Transformation,
    by_deletion,
    by_masking,
    by_random_order,
)
from pipeline_steps.evaluation.attacks.space import AnyOf, Source, Space
from pipeline_steps.evaluation.attacks.spelling import DeepWordBugMoves, Loss, Nothing
from pipeline_steps.evaluation.attacks.substitution import MaskedWords, Neighbours
from pipeline_steps.evaluation.attacks.unseen import Homoglyphs, Invisible

# Cosines of MiniLM's own vectors. The papers' thresholds are of other embeddings and do not carry
# over; strict is what Morris et al. (2020) ask for, so that few texts change their meaning.
_LAX, _STRICT = (0.4, 0.7), (0.5, 0.9)
_BOTH = (NEIGHBOURS, SIMILARITY)
_NEIGHBOURS = (
    "neighbours by MiniLM's token vectors instead of counter-fitted ones, MiniLM's sentence "
    "vectors instead of the Universal Sentence Encoder; no part-of-speech check"
)
_STRICTER = "; stricter cosines (words 0.5, sentences 0.9), as Morris et al. (2020) ask for"


def _words(thresholds: tuple[float, float], *, source: Source | None = None) -> Space:
    """Return the space of word substitutions above a word's and a sentence's cosine."""
    word, sentence = thresholds
    return Space(source or Neighbours(min_cosine=word), (NoStopWords(),), min_similarity=sentence)


def _greedy(space: Space, usual: Ranking, ranking: Ranking | None) -> Search:
    return Greedy(space, ranking or usual)


def _always(search: Search, ranking: Ranking | None) -> Search:
    del ranking  # nothing is ranked
    return search


def _spelt(moves: Transformation | Source, limit: int = 30) -> Space:
    return Space(moves, (MaxEditDistance(limit),))


_TYPOS = Space(InnerEdits(insertions=False), (MinWordLength(4),), complete=True)
_CASCADE_WORDS = 3
_FEW_TYPOS = replace(_TYPOS, constraints=(*_TYPOS.constraints, MaxChangedWords(_CASCADE_WORDS)))

RECIPES = named(
    Recipe(
        "deepwordbug",
        "Gao et al. (2018), Black-box generation of adversarial text sequences",
        "as TextAttack has it, words are ranked by masking them and stop words stay; the paper "
        "ranks by temporal scores",
        partial(
            _greedy, Space(DeepWordBugMoves(), (NoStopWords(), MaxEditDistance(30))), by_masking
        ),
        ranked=True,
    ),
    Recipe(
        "textbugger",
        "Li et al. (2019), TextBugger: generating adversarial text against real-world applications",
        "words are ranked by deleting them, without the ranking of sentences; " + _NEIGHBOURS,
        partial(
            _greedy,
            Space(
                AnyOf((TextBuggerMoves(), Neighbours(most=5))), (UsableRow(),), min_similarity=0.8
            ),
            by_deletion,
        ),
        needs=_BOTH,
        ranked=True,
    ),
    Recipe(
        "textbugger_characters",
        "Li et al. (2019), TextBugger: generating adversarial text against real-world applications",
        "its misspellings alone, without word substitution and without sentence similarity",
        partial(_greedy, Space(TextBuggerMoves(), (UsableRow(),)), by_deletion),
        ranked=True,
    ),
    Recipe(
        "pruthi",
        "Pruthi et al. (2019), Combating adversarial misspellings with robust word recognition",
        "one edit of one word; an inserted letter is drawn for each place, not all 26 are tried",
        partial(_always, Beam(Space(InnerEdits()), width=1, max_edits=1)),
    ),
    Recipe(
        "pruthi2",
        "Pruthi et al. (2019), Combating adversarial misspellings with robust word recognition",
        "two edits, of two different words; an inserted letter is drawn for each place",
        partial(_always, Beam(Space(InnerEdits()), width=1, max_edits=2)),
    ),
    Recipe(
        "homoglyph",
        "Boucher et al. (2022), Bad characters: imperceptible NLP attacks",
        "greedy by deletion instead of differential evolution; one lookalike a word, of up to two "
        "drawn for each character",
        partial(_greedy, _spelt(Homoglyphs(), 8), by_deletion),
        ranked=True,
    ),
    Recipe(
        "invisible",
        "Boucher et al. (2022), Bad characters: imperceptible NLP attacks",
        "greedy by deletion instead of differential evolution; characters without width only, none "
        "that reorder or delete; one a word",
        partial(_greedy, _spelt(Invisible(), 8), by_deletion),
        ranked=True,
    ),
    Recipe(
        "input_reduction",
        "Feng et al. (2018), Pathologies of neural models make interpretations difficult",
        "words are chosen by the answer without each, not by gradients; it breaks no row: its text "
        "is what is left when the answer still stays",
        partial(_always, Reduction(Space(Loss(), (UsableRow(),)))),
        unscouted=True,
    ),
    Recipe(
        "textfooler",
        "Jin et al. (2020), Is BERT really robust?",
        _NEIGHBOURS,
        partial(_greedy, _words(_LAX), by_deletion),
        needs=_BOTH,
        ranked=True,
    ),
    Recipe(
        "textfooler_strict",
        "Jin et al. (2020), Is BERT really robust?",
        _NEIGHBOURS + _STRICTER,
        partial(_greedy, _words(_STRICT), by_deletion),
        needs=_BOTH,
        ranked=True,
    ),
    Recipe(
        "pwws",
        "Ren et al. (2019), Generating natural language adversarial examples through PWWS",
        "neighbours by MiniLM's token vectors instead of WordNet's synonyms; names are not treated "
        "apart",
        partial(_always, WeightedSaliency(Space(Neighbours(), (NoStopWords(),)))),
        needs=(NEIGHBOURS,),
    ),
    Recipe(
        "pwws_strict",
        "Ren et al. (2019), Generating natural language adversarial examples through PWWS",
        "neighbours by MiniLM's token vectors instead of WordNet's synonyms" + _STRICTER,
        partial(_always, WeightedSaliency(_words(_STRICT))),
        needs=_BOTH,
    ),
    Recipe(
        "bae",
        "Garg and Ramakrishnan (2020), BAE: BERT-based adversarial examples",
        "replacements alone (BAE-R), by the base model's own masked-language head; MiniLM's "
        "sentence vectors; no part-of-speech check",
        partial(_greedy, _words(_LAX, source=MaskedWords()), by_deletion),
        needs=(MASKED, SIMILARITY),
        ranked=True,
    ),
    Recipe(
        "genetic",
        "Alzantot et al. (2018), Generating natural language adversarial examples",
        "12 members and 10 generations, no language model; " + _NEIGHBOURS,
        partial(
            _always,
            Genetic(Space(Neighbours(), (NoStopWords(), MaxChangedShare(0.2)), min_similarity=0.8)),
        ),
        needs=_BOTH,
    ),
    Recipe(
        "hotflip",
        "Ebrahimi et al. (2018), HotFlip: white-box adversarial examples for text classification",
        "flips of whole words to words that are one token; MiniLM's sentence vectors keep the "
        "sense, no part-of-speech check; one text is kept, not a beam",
        partial(_always, HotFlip(Space(Nothing(), (NoStopWords(),), min_similarity=0.8))),
        needs=(FLIPS, SIMILARITY),
    ),
    Recipe(
        "typos_proof",
        "Holdfast's own, of the moves of Pruthi et al. (2019)",
        "every swap, loss and neighbouring key inside one word, up to 5,000 a row: a survivor is "
        "proven unbroken by these",
        partial(_always, Exhaustive(_TYPOS, max_edits=1)),
        unscouted=True,
    ),
    Recipe(
        "known_defence",
        "Holdfast's own, of the moves of Gao et al. (2018) and Li et al. (2019)",
        "every slip of a word is looked at through the victim's own normaliser and tokenizer, and "
        "one of each reading is tried, up to 40 a word; lookalikes and blanks are among them",
        partial(
            _greedy, Space(DifferentReadings(), (NoStopWords(), MaxEditDistance(30))), by_masking
        ),
        needs=(READINGS,),
        ranked=True,
    ),
    Recipe(
        "typos_cascade",
        "Holdfast's own: cheap before strong",
        "greedy by random order, then a beam of 4, for what survives; 3 words in either",
        partial(
            _always,
            Cascade(
                Greedy(_FEW_TYPOS, by_random_order),
                Beam(_FEW_TYPOS, width=4, max_edits=_CASCADE_WORDS),
            ),
        ),
    ),
)
