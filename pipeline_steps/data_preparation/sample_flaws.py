"""Flaws of real exports, put into the sample corpus in known shares."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

Row = dict[str, Any]

FLAW_SHARES = {
    "exact_duplicate": 0.008,
    "near_duplicate": 0.015,
    "duplicate_id": 0.002,
    "empty_text": 0.004,
    "over_long": 0.003,
    "mojibake": 0.005,
    "replacement_character": 0.003,
    "wrong_label": 0.010,
}
"""Share of the clean rows that each flaw adds or damages."""
N_BROKEN_LINES = 3
"""Lines with bytes that are no UTF-8."""
_ENDINGS = (" please", " now", " asap", " ok", " thx")


def add_flaws(rows: list[Row], generator: random.Random) -> list[Row]:
    """Return the rows with flaws: some are damaged in place, some are added."""
    for flaw, damage in _DAMAGES.items():
        for row in generator.sample(rows, round(len(rows) * FLAW_SHARES[flaw])):
            damage(row, rows, generator)
    added: list[Row] = []
    for flaw in ("exact_duplicate", "near_duplicate", "duplicate_id"):
        for row in generator.sample(rows, round(len(rows) * FLAW_SHARES[flaw])):
            added.append(_repeated(row, flaw, len(rows) + len(added), generator))
    return [*rows, *added]


def broken_lines(generator: random.Random) -> list[bytes]:
    """Return lines that cannot be decoded: text in Latin-1 where UTF-8 was promised."""
    lines = []
    for number in range(N_BROKEN_LINES):
        message = f"Überweisung über {generator.randrange(99)}"
        line = json.dumps({"ticket_id": f"X{number}", "message": message}, ensure_ascii=False)
        lines.append(line.encode("latin-1") + b"\n")
    return lines


def _repeated(row: Row, flaw: str, number: int, generator: random.Random) -> Row:
    copy = dict(row)
    if flaw != "duplicate_id":
        copy["ticket_id"] = f"T{number:06d}"
    if flaw == "near_duplicate":
        copy["message"] = str(row["message"]).rstrip(".!? ") + generator.choice(_ENDINGS)
        copy["customer_id"] = f"{row['customer_id']}-b"
    if flaw == "duplicate_id":
        copy["message"] = f"{row['message']} I write again because nobody answered."
    return copy


def _empty(row: Row, rows: list[Row], generator: random.Random) -> None:  # noqa: ARG001
    row["message"] = generator.choice(("", "   ", None))


def _over_long(row: Row, rows: list[Row], generator: random.Random) -> None:
    """Append pasted mail history, more than a person would write."""
    history = [f"> {generator.choice(rows)['message']}" for _ in range(120)]
    row["message"] = "\n".join([str(row["message"]), *history])


def _mojibake(row: Row, rows: list[Row], generator: random.Random) -> None:  # noqa: ARG001
    """Write UTF-8 as if it had been Windows-1252."""
    text = f"{row['message']} Grüße, café account"
    row["message"] = text.encode().decode("cp1252", errors="replace")


def _replacement(row: Row, rows: list[Row], generator: random.Random) -> None:  # noqa: ARG001
    text = str(row["message"])
    place = generator.randrange(len(text) + 1)
    row["message"] = f"{text[:place]}\ufffd\ufffd{text[place:]}"


def _wrong_label(row: Row, rows: list[Row], generator: random.Random) -> None:
    others = sorted({other["intent"] for other in rows} - {row["intent"]})
    row["intent"] = generator.choice(others)


_DAMAGES: dict[str, Callable[[Row, list[Row], random.Random], None]] = {
    "wrong_label": _wrong_label,
    "mojibake": _mojibake,
    "replacement_character": _replacement,
    "over_long": _over_long,
    "empty_text": _empty,
}
