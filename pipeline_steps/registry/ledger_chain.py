"""The chain of a ledger: entries, the hashes that link them, a copy as JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline_steps.digests import value_digest
from pipeline_steps.files import write_text_atomically

GENESIS = "0" * 64


class LedgerEntry(BaseModel):
    """One decision: what happened, to which model, who did it, why, on what evidence."""

    model_config = ConfigDict(frozen=True)

    sequence: int
    created_at: str
    event: str
    model_name: str
    actor: str
    reason: str
    evidence: dict[str, Any]
    previous_hash: str
    entry_hash: str

    def expected_hash(self) -> str:
        """Return the hash over everything but the hash itself."""
        return value_digest(self.model_dump(exclude={"entry_hash"}))

    @property
    def anchor(self) -> str:
        """What is written down elsewhere to prove that this entry stood in the ledger."""
        return f"{self.sequence}:{self.entry_hash}"


class Link(NamedTuple):
    """What the chain knows of one entry."""

    sequence: int
    previous_hash: str
    entry_hash: str
    altered: bool


def link_of(entry: LedgerEntry) -> Link:
    """Return an entry as a link of the chain."""
    altered = entry.entry_hash != entry.expected_hash()
    return Link(entry.sequence, entry.previous_hash, entry.entry_hash, altered)


def chain_problems(links: Iterable[Link]) -> list[str]:
    """Return what is wrong with a chain: altered entries, missing links; empty if whole.

    Entries that were cut off the end leave a whole chain behind: see :func:`anchor_problem`.
    """
    problems = []
    previous, expected = GENESIS, 1
    for link in links:
        if link.sequence > expected:
            problems.append(_missing(expected, link.sequence - 1))
        if link.sequence < expected:
            problems.append(f"entry {link.sequence} stands behind a later one")
        if link.altered:
            problems.append(f"entry {link.sequence} was altered")
        if link.previous_hash != previous:
            problems.append(f"entry {link.sequence} does not follow the one before it")
        previous, expected = link.entry_hash, link.sequence + 1
    return problems


def anchor_problem(hashes: Mapping[int, str], anchor: str, where: str) -> str | None:
    """Return what is wrong between a ledger and an anchor kept elsewhere, or ``None``.

    Parameters
    ----------
    hashes : mapping
        Sequence -> hash of every entry of the ledger.
    anchor : str
        ``SEQUENCE:HASH``, as :attr:`LedgerEntry.anchor` writes it.
    where : str
        Who keeps the anchor, for the message.
    """
    number, _, hash_ = anchor.partition(":")
    if not number.isdigit() or not hash_:
        return f"{where} holds no anchor: {anchor[:80]}"
    sequence, last = int(number), max(hashes, default=0)
    if sequence > last:
        return (
            f"the ledger's tail was cut: {where} knows entry {sequence}, "
            f"the ledger ends with {f'entry {last}' if last else 'nothing'}"
        )
    if hashes.get(sequence) != hash_:
        return f"{where} knows another entry {sequence} than the ledger: one of them was changed"
    return None


def write_export(path: Path, entries: Iterable[LedgerEntry]) -> int:
    """Return the number of entries after writing them as JSON Lines, whole or not at all."""
    lines = [json.dumps(e.model_dump(), sort_keys=True, ensure_ascii=False) for e in entries]
    write_text_atomically(path, "".join(f"{line}\n" for line in lines))
    return len(lines)


def export_problems(path: Path, hashes: Mapping[int, str]) -> list[str]:
    """Return what is wrong with an export, on its own and beside the ledger that it is a copy of.

    Parameters
    ----------
    path : Path
        What :func:`write_export` wrote.
    hashes : mapping
        Sequence -> hash of every entry of the ledger; it may have grown since.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    found = list(_read_lines(path))
    problems = [f"{path.name}: {entry}" for entry in found if isinstance(entry, str)]
    links = [link_of(entry) for entry in found if isinstance(entry, LedgerEntry)]
    problems += [f"{path.name}: {problem}" for problem in chain_problems(links)]
    last = max(hashes, default=0)
    differing = [link.sequence for link in links if hashes.get(link.sequence) != link.entry_hash]
    beyond = [sequence for sequence in differing if sequence > last]
    if beyond:
        problems.append(
            f"the ledger's tail was cut: {path.name} has entry {max(beyond)}, "
            f"the ledger ends with {f'entry {last}' if last else 'nothing'}"
        )
    return problems + [
        f"entry {sequence} differs between {path.name} and the ledger"
        for sequence in differing
        if sequence <= last
    ]


def _read_lines(path: Path) -> Iterator[LedgerEntry | str]:
    """Yield each entry of an export, or what is wrong with its line."""
    # Only \n ends a line: a reason may hold other characters at which str.splitlines breaks.
    with path.open(encoding="utf-8", newline="\n") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield LedgerEntry.model_validate_json(line)
            except ValidationError:
                yield f"line {number} is no entry of a ledger"


def _missing(first: int, last: int) -> str:
    return (
        f"entry {first} is missing" if first == last else f"entries {first} to {last} are missing"
    )
