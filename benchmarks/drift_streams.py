"""Streams of real rows with a change in them, as scores, losses and what peers look at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from drift_data import Rows, cached, joined, load

from pipeline_steps.monitoring.scores import Frozen, ScoredRows, freeze, score_rows

Array = np.ndarray[Any, Any]
UNSEEN = {"clinc150": 20, "banking77": 10}
N_CHANGED = 1_200
HARMLESS = ("polite", "label mix")


@dataclass(frozen=True)
class Scored:
    """Rows as the monitor and its peers see them."""

    texts: Array
    predicted: Array
    probabilities: Array
    losses: Array
    scores: Array

    def take(self, places: Array) -> Scored:
        """Return the rows at places."""
        return Scored(*(getattr(self, name)[places] for name in self.__dataclass_fields__))

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class World:
    """A frozen classifier's held-out rows, and rows of each shift."""

    name: str
    frozen: Frozen
    usual: Scored
    shifted: dict[str, Scored]
    score_names: tuple[str, ...]


def world(data: Path, name: str, work: Path) -> World:
    """Return a data set with its frozen classifier, with held-out rows scored."""
    from sklearn.linear_model import LogisticRegression

    parts = load(data, name, work)
    rng = np.random.default_rng(0)
    labels = np.unique(parts["train"].labels)
    unseen = rng.choice(labels, UNSEEN.get(name, 0), replace=False)
    train = _without(parts["train"], unseen)
    model = LogisticRegression(C=20.0, max_iter=60).fit(train.vectors, train.labels)
    frozen = freeze(list(train.texts), list(train.labels), train.vectors)
    held_out = joined([parts["valid"], parts["test"]])
    usual = _without(held_out, unseen)
    shifted = {part.removeprefix("shift_"): r for part, r in parts.items() if "shift" in part}
    if "oos_vertanen" in shifted:
        shifted = {"oos": joined([shifted["oos"], shifted["oos_vertanen"]])}
    if len(unseen):
        shifted["unseen"] = held_out.take(np.flatnonzero(np.isin(held_out.labels, unseen)))
        shifted |= _perturbed(usual, work / name, rng)
        few = rng.choice(np.setdiff1d(labels, unseen), len(labels) // 10, replace=False)
        shifted["label mix"] = usual.take(np.flatnonzero(np.isin(usual.labels, few)))
    scored = {key: _scored(rows, model, frozen) for key, rows in shifted.items()}
    return World(name, frozen, _scored(usual, model, frozen), scored, frozen.names())


def streams(
    place: World, shift: str | None, level: float, seed: int, *, n_before: int, n_after: int
) -> tuple[Scored, Scored]:
    """Return a reference of 2,000 rows (or half of them) and a stream, no usual row twice."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(place.usual))
    n_reference = min(2_000, len(order) // 2)
    reference, rest = order[:n_reference], order[n_reference:]
    n = min(n_before, len(rest) // 2) if shift else len(rest)
    rows = place.usual.take(rest[:n])
    if shift is None:
        return place.usual.take(reference), rows
    other = place.shifted[shift]
    usual_after = place.usual.take(rest[n:][rng.integers(0, len(rest) - n, n_after)])
    changed = other.take(rng.integers(0, len(other), n_after))
    hit = rng.random(n_after) < level
    after = Scored(
        *(
            np.where(hit.reshape((-1,) + (1,) * (a.ndim - 1)), b, a)
            for a, b in (
                (getattr(usual_after, f), getattr(changed, f)) for f in Scored.__dataclass_fields__
            )
        )
    )
    both = [np.concatenate([getattr(rows, f), getattr(after, f)]) for f in vars(rows)]
    return place.usual.take(reference), Scored(*both)


def _without(rows: Rows, labels: Array) -> Rows:
    return rows.take(np.flatnonzero(~np.isin(rows.labels, labels)))


def _perturbed(usual: Rows, stem: Path, rng: np.random.Generator) -> dict[str, Rows]:
    """Return polite and misspelt sisters of usual rows, embedded anew."""
    some = usual.take(rng.permutation(len(usual))[:N_CHANGED])
    polite = [f"hi there {text} thanks" for text in some.texts]
    typos = [_misspelt(text, np.random.default_rng(i)) for i, text in enumerate(some.texts)]
    return {
        kind: Rows(
            np.array(texts, dtype=object),
            some.labels,
            cached(stem.with_name(f"{stem.name}-{kind}.npy"), texts),
        )
        for kind, texts in (("polite", polite), ("typo", typos))
    }


def _misspelt(text: str, rng: np.random.Generator) -> str:
    """Return the text with two neighbouring letters swapped in a third of its words."""
    words = text.split()
    for i, word in enumerate(words):
        if len(word) > 3 and rng.random() < 0.34:
            k = int(rng.integers(1, len(word) - 2))
            words[i] = word[:k] + word[k + 1] + word[k] + word[k + 2 :]
    return " ".join(words)


def _scored(rows: Rows, model: Any, frozen: Frozen) -> Scored:
    p = model.predict_proba(rows.vectors)
    predicted = model.classes_[p.argmax(axis=1)]
    seen = ScoredRows(list(rows.texts), list(predicted), p.max(axis=1), p, rows.vectors)
    return Scored(
        rows.texts,
        predicted.astype(object),
        p,
        (predicted != rows.labels).astype(float),
        score_rows(seen, frozen),
    )
