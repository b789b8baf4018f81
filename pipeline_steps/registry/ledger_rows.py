"""Rows of the ledger's table as entries, and whether they are what was appended."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from pipeline_steps.errors import RegistryError
from pipeline_steps.registry.ledger_chain import LedgerEntry


def canonical(evidence: dict[str, Any]) -> str:
    """Return evidence as the column holds it: equal evidence is equal text."""
    return json.dumps(evidence, sort_keys=True)


def entry_of(row: sa.Row[Any]) -> LedgerEntry:
    """Return the entry of a row, altered or not.

    Raises
    ------
    RegistryError
        If it cannot be read.
    """
    fields = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    try:
        return LedgerEntry(**{**fields, "evidence": json.loads(fields["evidence"])})
    except ValueError as error:
        raise RegistryError(
            f"entry {fields['sequence']} of the ledger cannot be read: {error}",
            expected="an entry as it was appended",
            fix="restore the ledger from a backup; what was altered, says: holdfast ledger verify",
        ) from error


def unaltered(row: sa.Row[Any]) -> LedgerEntry:
    """Return the entry; nothing is decided from one that somebody has changed.

    Raises
    ------
    RegistryError
        If its hash is not that of what it says.
    """
    if was_altered(row):
        raise RegistryError(
            f"entry {row.sequence} of the ledger was altered",
            expected="an entry as it was appended",
            fix="restore the ledger from a backup; what else was altered, says: holdfast ledger "
            "verify",
        )
    return entry_of(row)


def was_altered(row: sa.Row[Any]) -> bool:
    """Return whether a row is not what was appended."""
    try:
        entry = entry_of(row)
    except RegistryError:
        return True
    return entry.entry_hash != entry.expected_hash()
