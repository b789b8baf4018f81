"""Rows of the traffic log as a monitor sees them, whatever the problem."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline_steps.digests import value_digest
from pipeline_steps.monitoring.reference import take
from pipeline_steps.monitoring.scores import ScoredRows
from pipeline_steps.traffic_rows import LoggedPrediction, TrafficRow

Array = np.ndarray[Any, Any]
_FIRST = ("text", "question", "document", "context", "text_pair")
_BESIDE = frozenset({"domain", "group", "timestamp"})
_PLACES = frozenset({"start"})
_DAYS_KEPT = 2
SESSION = "session"
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")  # whatever the locale


@dataclass(frozen=True)
class MonitoredRows:
    """Rows in the order of the log, with what guards need to know of them."""

    sequences: list[int]
    ids: list[str]
    rows: ScoredRows
    strata: list[str]
    days: list[str]
    sessions: list[str | None]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def digest(self) -> str:
        """Digest of which rows they are."""
        return value_digest(self.ids)

    def take(self, places: Sequence[int]) -> MonitoredRows:
        """Return the rows at some places."""
        chosen = list(places)
        return MonitoredRows(
            [self.sequences[i] for i in chosen],
            [self.ids[i] for i in chosen],
            take(self.rows, chosen),
            [self.strata[i] for i in chosen],
            [self.days[i] for i in chosen],
            [self.sessions[i] for i in chosen],
        )


@dataclass
class Seen:
    """Texts and sessions of the last days, of which only the first row is compared."""

    by_day: dict[str, set[int]] = field(default_factory=dict)

    def first_of_their_kind(self, rows: MonitoredRows) -> list[int]:
        """Return the places of rows that repeat neither a text nor a session of their day.

        Rows without text (redacted ones, or empty) are all kept: nothing shows that they repeat.
        """
        kept = []
        for place, (text, session, day) in enumerate(
            zip(rows.rows.texts, rows.sessions, rows.days, strict=True)
        ):
            folded = " ".join(text.lower().split())
            marks = {_mark("text", folded)} if folded else set()
            marks |= {_mark("session", session)} if session else set()
            known = self.by_day.setdefault(day, set())
            if not marks & known:
                kept.append(place)
            known |= marks
        self._forget()
        return kept

    def _forget(self) -> None:
        for day in sorted(self.by_day)[:-_DAYS_KEPT]:
            del self.by_day[day]

    def to_json(self) -> str:
        """Return the state as text."""
        return json.dumps({day: sorted(marks) for day, marks in sorted(self.by_day.items())})

    @classmethod
    def from_json(cls, text: str) -> Seen:
        """Return the state that :meth:`to_json` wrote."""
        return cls({day: set(marks) for day, marks in json.loads(text).items()})


def monitored_rows(
    traffic: Sequence[TrafficRow],
    labels: tuple[str, ...],
    *,
    strata: str = "none",
    session_field: str | None = None,
    embed: Callable[[Sequence[str]], Array] | None = None,
) -> MonitoredRows:
    """Return rows of the traffic log as a monitor sees them.

    Parameters
    ----------
    traffic : sequence of TrafficRow
    labels : tuple of str
        What the probabilities are of, in the order of the reference; empty where there are none.
    strata : str
        ``none``, ``segment``, ``hour`` or ``hour_of_week``: what rows are compared within.
    session_field : str, optional
        What says which rows belong together: ``session``, as clients say it, or an input.
    embed : callable, optional
        Returns embeddings (n, width) of texts; without it rows have none.
    """
    made = [row.prediction for row in traffic]
    texts = [text_of(p.example) for p in made]
    return MonitoredRows(
        [row.sequence for row in traffic],
        [p.prediction_id for p in made],
        ScoredRows(
            texts,
            [answer_text(p.output) for p in made],
            np.array([np.nan if p.confidence is None else p.confidence for p in made], dtype=float),
            _probabilities([p.probabilities for p in made], labels),
            None if embed is None else embed(texts),
        ),
        [_stratum(row, strata) for row in traffic],
        [p.created_at.date().isoformat() for p in made],
        [_session(p, session_field) for p in made],
    )


def text_of(example: Mapping[str, Any]) -> str:
    """Return the inputs of a prediction as one text: the usual columns first, then the others.

    Half of a surrogate pair, which the traffic log keeps and no file takes, becomes ``?``.
    """
    names = [*(n for n in _FIRST if n in example), *sorted(set(example) - set(_FIRST))]
    parts = [
        _messages(example[name]) if name == "messages" else example[name]
        for name in names
        if name not in _BESIDE
    ]
    text = "\n".join(_flat(part) for part in parts if part not in (None, "", []))
    return text.encode(errors="replace").decode()


def answer_text(output: Mapping[str, Any]) -> str:
    """Return an answer as a text: the label where it is one, else JSON in a canonical form.

    Where a span stands is no part of what was said.
    """
    if isinstance(output.get("label"), str):
        return str(output["label"])
    said = {name: value for name, value in output.items() if name not in _PLACES}
    return json.dumps(said, sort_keys=True, ensure_ascii=False)


def uniforms(ids: Sequence[str], n_scores: int, seed: int) -> Array:
    """Return numbers in [0, 1) for each row and score (n, K): a function of ids and seed alone.

    The same rows read again are compared in the same way.
    """
    size = 8 * n_scores
    found = [
        hashlib.shake_128(f"{seed}/{prediction_id}".encode()).digest(size) for prediction_id in ids
    ]
    whole = np.frombuffer(b"".join(found), dtype=np.uint64).reshape(len(ids), n_scores)
    return np.asarray((whole >> np.uint64(11)).astype(np.float64) / float(1 << 53))


def _probabilities(
    found: Sequence[Mapping[str, float] | None], labels: tuple[str, ...]
) -> Array | None:
    """Return probabilities in the reference's order, (n, n_labels), if every row has them."""
    if not labels or not found or any(p is None for p in found):
        return None
    table = [[(p or {}).get(label, 0.0) for label in labels] for p in found]
    return np.array(table, dtype=np.float64)


def _stratum(row: TrafficRow, strata: str) -> str:
    if strata == "segment":
        return row.prediction.segment or ""
    at = row.prediction.created_at
    if strata == "hour_of_week":
        return f"{_WEEKDAYS[at.weekday()]} {at.hour:02d}"
    return f"{at.hour:02d}" if strata == "hour" else ""


def _session(prediction: LoggedPrediction, name: str | None) -> str | None:
    if name == SESSION:
        return prediction.session
    value = prediction.example.get(name) if name else None
    return None if value is None else str(value)


def _messages(value: Any) -> Any:
    """Return a conversation as a list: it may be sent as one, or as JSON text of one."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _flat(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return " ".join(_flat(item) for item in value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _mark(kind: str, value: str) -> int:
    digest = hashlib.blake2b(f"{kind}/{value}".encode("utf-8", "replace"), digest_size=8)
    return int.from_bytes(digest.digest(), "big")
