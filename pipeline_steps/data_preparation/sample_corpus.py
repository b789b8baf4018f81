"""The sample corpus: messages to the help desk of a bank that does not exist, and what came later.

Everything is written by the grammar in this package, seeded: the same seed gives the same bytes.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from pipeline_steps.data_preparation.sample_flaws import Row, add_flaws, broken_lines
from pipeline_steps.data_preparation.sample_grammar import Customer, make_customer, write_message
from pipeline_steps.data_preparation.sample_later_phrases import NEW_INTENTS, REPHRASED
from pipeline_steps.data_preparation.sample_phrases import INTENTS, Intent
from pipeline_steps.files import atomic_file
from pipeline_steps.noise import perturb

CORPUS = Path("data/raw/helpdesk.jsonl.gz")
LATER = Path("data/raw/helpdesk_later.jsonl.gz")
_START = datetime(2026, 1, 5, 8, tzinfo=UTC)
_DAYS = 270
_N_ROWS = 4_200
_N_CUSTOMERS = 1_300


class Phase(NamedTuple):
    """A stretch of the later stream: how it differs from the corpus."""

    name: str
    days: int
    rows: int


PHASES = (
    Phase("none", 20, 500),
    Phase("harmless_style", 15, 500),
    Phase("new_phrasing", 15, 500),
    Phase("new_intents", 15, 500),
    Phase("changed_mix", 15, 500),
    Phase("typos", 15, 500),
)
_NEW_INTENT_SHARE = 0.25
_REPHRASED_SHARE = 0.8
_FREQUENT = ("transfer_pending", "login_problem", "fee_question")
_TYPO_RATE = 0.06


def generate(root: Path, seed: int = 0) -> str:
    """Return what was written: the corpus and the later stream, below ``root``."""
    generator = random.Random(seed)  # noqa: S311 - a corpus, no secret
    customers = [make_customer(number, generator) for number in range(_N_CUSTOMERS)]
    rows = add_flaws(_corpus(customers, generator), generator)
    rows.sort(key=lambda row: (row["created_at"], row["ticket_id"]))
    lines = [_line(row) for row in rows]
    for broken in broken_lines(generator):
        lines.insert(generator.randrange(len(lines)), broken)
    later = _later(customers, generator)
    _write(root / CORPUS, lines)
    _write(root / LATER, [_line(row) for row in later])
    return f"{len(lines)} rows, later {len(later)} rows"


def _corpus(customers: list[Customer], generator: random.Random) -> list[Row]:
    intents = list(INTENTS)
    weights = [generator.uniform(0.6, 1.4) for _ in intents]
    rows = []
    for number in range(_N_ROWS):
        intent = generator.choices(intents, weights)[0]
        moment = _START + timedelta(minutes=generator.randrange(_DAYS * 24 * 60))
        customer = generator.choice(customers)
        message = write_message(intent, customer, generator)
        rows.append(_row(f"T{number:06d}", moment, customer, message, intent))
    return rows


def _later(customers: list[Customer], generator: random.Random) -> list[Row]:
    """Return the later stream, phase after phase, each row with its phase."""
    start = _START + timedelta(days=_DAYS)
    rows: list[Row] = []
    for phase in PHASES:
        moments = sorted(generator.randrange(phase.days * 24 * 60) for _ in range(phase.rows))
        for minute in moments:
            customer = generator.choice(customers)
            intent, message = _later_message(phase.name, customer, generator)
            row = _row(
                f"L{len(rows):06d}", start + timedelta(minutes=minute), customer, message, intent
            )
            rows.append({**row, "phase": phase.name})
        start += timedelta(days=phase.days)
    return rows


def _later_message(phase: str, customer: Customer, generator: random.Random) -> tuple[str, str]:
    """Return intent and message of one row of a phase."""
    intent = generator.choice(list(INTENTS))
    if phase == "changed_mix" and generator.random() < 0.7:  # noqa: PLR2004 - most of them
        intent = generator.choice(_FREQUENT)
    if phase == "new_intents" and generator.random() < _NEW_INTENT_SHARE:
        intent = generator.choice(list(NEW_INTENTS))
        message = write_message(intent, customer, generator, phrases=NEW_INTENTS[intent])
        return intent, message
    if phase == "new_phrasing" and generator.random() < _REPHRASED_SHARE:
        intent = generator.choice(list(REPHRASED))
        phrases = Intent(INTENTS[intent].topics[:1], REPHRASED[intent])
        return intent, write_message(intent, customer, generator, phrases=phrases)
    message = write_message(intent, customer, generator)
    if phase == "harmless_style":
        message = f"hi, {message} thanks"
    if phase == "typos":
        key = str(generator.random())
        message = perturb(message, "typos", _TYPO_RATE, seed=0, example_id=key)
    return intent, message


def _row(ticket: str, moment: datetime, customer: Customer, message: str, intent: str) -> Row:
    return {
        "ticket_id": ticket,
        "created_at": moment.isoformat(),
        "channel": customer.channel,
        "customer_group": customer.group,
        "customer_id": customer.customer_id,
        "message": message,
        "intent": intent,
    }


def _line(row: Row) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"


def _write(path: Path, lines: Iterable[bytes]) -> None:
    """Write a gzip file whose bytes depend on the lines alone: no time, no name."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(gzip.compress(b"".join(lines), compresslevel=9, mtime=0))
