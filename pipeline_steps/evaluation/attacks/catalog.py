"""Every attack by name: on words, behind a context alone, and in front of a text alone."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline_steps.evaluation.attacks.distractors import Distractors
from pipeline_steps.evaluation.attacks.greedy import Greedy
from pipeline_steps.evaluation.attacks.recipe import Recipe, named
from pipeline_steps.evaluation.attacks.recipes import RECIPES
from pipeline_steps.evaluation.attacks.search import TRIGGERS, by_random_order
from pipeline_steps.evaluation.attacks.space import Space
from pipeline_steps.evaluation.attacks.triggers import Triggers

DISTRACTOR = "distractor"

DISTRACTORS = named(
    Recipe(
        DISTRACTOR,
        "Jia and Liang (2017), Adversarial examples for evaluating reading comprehension systems",
        "AddSent by rules alone: names, numbers and things from short lists instead of WordNet, "
        "GloVe and a parser; ten drawn sentences, read by nobody; at the end of the context",
        lambda _: Greedy(Space(Distractors()), by_random_order),
    )
)
"""Attacks that put a sentence behind the context of question answering."""
PREFIXES = named(
    Recipe(
        "universal_trigger",
        "Wallace et al. (2019), Universal adversarial triggers for attacking and analyzing NLP",
        "three whole words, one text kept and not a beam; found on up to 32 rows of each label (of "
        "all where there are more than five labels) that are not attacked; no lexicon keeps words "
        "of sentiment out",
        lambda _: Greedy(Space(Triggers()), by_random_order),
        needs=(TRIGGERS,),
    )
)
"""Attacks that put words in front of a text, the same for all rows of a label."""
ATTACKS: Mapping[str, Recipe] = {**RECIPES, **DISTRACTORS, **PREFIXES}
