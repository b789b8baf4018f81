"""Traffic for monitors: rows of a small help desk, answered by a made-up model, logged for real."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from pipeline_steps.monitoring.monitored_rows import monitored_rows
from pipeline_steps.monitoring.reference import Labelled, make_reference
from pipeline_steps.monitoring.scores import ScoredRows, freeze
from pipeline_steps.traffic_rows import LoggedPrediction, TrafficRow

LABELS = ("card", "loan", "travel")
_WORDS = {
    "card": [
        "card",
        "pin",
        "lost",
        "blocked",
        "chip",
        "payment",
        "declined",
        "bank",
        "plastic",
        "limit",
    ],
    "loan": [
        "loan",
        "interest",
        "rate",
        "mortgage",
        "credit",
        "repay",
        "month",
        "amount",
        "offer",
        "debt",
    ],
    "travel": [
        "flight",
        "hotel",
        "booking",
        "ticket",
        "luggage",
        "train",
        "trip",
        "visa",
        "delay",
        "seat",
    ],
    "foreign": [
        "wetter",
        "morgen",
        "regen",
        "sonne",
        "wolken",
        "kalt",
        "warm",
        "schnee",
        "sturm",
        "nebel",
    ],
}
START = datetime(2026, 3, 1, tzinfo=UTC)


def message(rng: np.random.Generator, topic: str) -> str:
    """Return a message of a topic; no two are alike."""
    words = rng.choice(_WORDS[topic], 6).tolist()
    return f"{' '.join(words)} {rng.integers(10**9)}"


def answered(
    rng: np.random.Generator, n: int, *, foreign: float = 0.0, polite: float = 0.0
) -> list[tuple[str, str, str, Any]]:
    """Return text, truth, answer and probabilities of rows; foreign ones are answered by chance."""
    rows = []
    for _ in range(n):
        strange = rng.random() < foreign
        truth = "foreign" if strange else str(rng.choice(LABELS))
        sure = rng.dirichlet((2, 2, 2)) if strange else rng.dirichlet((40, 1, 1))
        place = int(rng.integers(3)) if strange else LABELS.index(truth)
        p = np.roll(sure, place)
        if not strange and rng.random() < 0.03:
            p = np.roll(p, 1)
        text = message(rng, truth)
        text = f"hello there {text} thanks" if rng.random() < polite else text
        rows.append((text, truth, LABELS[int(p.argmax())], p))
    return rows


def reference(n: int = 600, seed: int = 0, *, foreign: float = 0.0):
    """Return a reference of rows without drift, some of them always foreign."""
    rng = np.random.default_rng(seed)
    train, rows = answered(rng, 300), answered(rng, n, foreign=foreign)
    scored = ScoredRows(
        [r[0] for r in rows],
        [r[2] for r in rows],
        np.array([r[3].max() for r in rows]),
        np.array([r[3] for r in rows]),
    )
    losses = np.array([float(r[1] != r[2]) for r in rows])
    return make_reference(
        scored,
        Labelled(losses, [r[1] for r in rows], LABELS),
        freeze([r[0] for r in train], [r[1] for r in train]),
        checkpoint_digest="c" * 64,
        dataset_digest="d" * 64,
    )


def logged(rows, *, name: str = "m", version: int = 1, first: int = 0, a_day: int = 5_000):
    """Return predictions of rows as a service logs them."""
    return [
        LoggedPrediction(
            prediction_id=f"p{first + i}",
            request_id=f"r{first + i}",
            created_at=START + timedelta(days=(first + i) / a_day),
            model_name=name,
            version=version,
            example={"text": text},
            output={"label": answer},
            probabilities=dict(zip(LABELS, p.tolist(), strict=True)),
            confidence=float(p.max()),
        )
        for i, (text, _, answer, p) in enumerate(rows)
    ]


def monitored(rows, **how: Any):
    """Return rows as a monitor sees them, with sequences from 1."""
    predictions = logged(rows, **how)
    traffic = [TrafficRow(sequence=i + 1, prediction=p) for i, p in enumerate(predictions)]
    return monitored_rows(traffic, LABELS)
