"""A victim of a few lines and the services of attacks, whose answers are known beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline_steps.evaluation.attacks.catalog import ATTACKS, PREFIXES
from pipeline_steps.evaluation.attacks.goals import Answer, WrongLabel
from pipeline_steps.evaluation.attacks.oracle import AnswerBook, Oracle
from pipeline_steps.evaluation.attacks.passage import Passage
from pipeline_steps.evaluation.attacks.pool import Attacked, Limits, Pool
from pipeline_steps.evaluation.attacks.readings import slips
from pipeline_steps.evaluation.attacks.triggers import Preceding
from pipeline_steps.problems.text_classification import TextClassification

LABELS = ("bad", "good")
KEYWORDS = {"good": 1.0, "great": 1.5, "lovely": 0.7, "dreadful": -9.0}
THESAURUS = {
    "good": [("decent", 0.9), ("bad", 0.8), ("goods", 0.8), ("nice", 0.3)],
    "great": [("grand", 0.8), ("greater", 0.8)],
    "lovely": [("pretty", 0.7)],
    "film": [("movie", 0.9)],
}


def keyword_victim(rows: Sequence[Mapping[str, Any]]) -> list[Answer]:
    """Answer ``good`` with more certainty the more its words are among the keywords."""
    answers = []
    for row in rows:
        score = sum(KEYWORDS.get(word, 0.0) for word in row["text"].lower().split()) - 0.5
        good = 1 / (1 + np.exp(-score))
        shares = np.array([1 - good, good])
        said = LABELS[int(shares.argmax())]
        answers.append(Answer(row["label"], said, float(shares.max()), shares))
    return answers


def passage_of(text: str, label: str = "good", name: str = "0") -> Passage:
    """Return a row of text classification."""
    row = {"example_id": name, "text": text, "text_pair": None, "target": None, "label": label}
    return Passage.of(row, TextClassification())


def neighbours(questions: Sequence[Any]) -> list[Any]:
    return [[THESAURUS.get(w.lower(), []) for w in p.spellings] for p, _ in questions]


def similarity(questions: Sequence[Any]) -> list[float]:
    """One changed word is near, two are less so."""
    return [1.0 - 0.05 * len(edits) for _, edits in questions]


def flips(questions: Sequence[Any]) -> list[Any]:
    return [[[("tree", KEYWORDS.get(w.lower(), 0.1))] for w in p.spellings] for p, _ in questions]


def saliency(questions: Sequence[Any]) -> list[Any]:
    return [[KEYWORDS.get(w.lower(), 0.0) for w in p.spellings] for p, _ in questions]


def readings(questions: Sequence[Any]) -> list[Any]:
    """Return all slips: to this victim each reads otherwise."""
    return [[slips(word) for word in p.spellings] for p, _ in questions]


def triggers(questions: Sequence[Any]) -> list[Any]:
    return [[("some", "dreadful", "words")] for _ in questions]


SERVICES = {
    "neighbours": neighbours, "masked": neighbours, "similarity": similarity, "flips": flips,
    "saliency": saliency, "readings": readings, "triggers": triggers,
}  # fmt: skip


def attacked(
    recipe: str,
    passages: Sequence[Passage],
    *,
    seed: int = 0,
    ranking: Any = "recipe",
    **limits: Any,
) -> dict[str, Attacked]:
    """Return what a recipe makes of rows, by their names."""
    wanted = ATTACKS[recipe]
    if recipe in PREFIXES:
        passages = [Passage.of(p.row, Preceding(TextClassification())) for p in passages]
    services = {name: SERVICES[name] for name in wanted.services(ranking)}
    oracle = Oracle(WrongLabel(LABELS), AnswerBook(keyword_victim))
    pool = Pool(oracle, wanted.search(ranking), services)
    found = pool.attack(passages, seed=seed, limits=Limits(**limits))
    return {one.passage.example_id: one for one in found}
