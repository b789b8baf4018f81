"""Who was champion, in which order, and where the way back leads: read off the ledger's moves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline_steps.registry.ledger_chain import LedgerEntry

PROMOTION, ROLLBACK = "promotion", "rollback"


def kind_of(move: LedgerEntry) -> str:
    """Return whether a move was a promotion or a rollback."""
    return str(move.evidence.get("kind", PROMOTION))


def version_of(move: LedgerEntry) -> int:
    """Return the version that a move made champion."""
    return int(move.evidence["version"])


def answers_digest_of(moves: Sequence[LedgerEntry], version: int) -> str | None:
    """Return the digest of the answers with which a version last became champion, if known."""
    found = [move for move in moves if version_of(move) == version]
    digest = found[-1].evidence.get("answers_digest") if found else None
    return None if digest is None else str(digest)


def reign(moves: Sequence[LedgerEntry]) -> list[int]:
    """Return the champions that lead to today's, which stands last.

    A promotion adds a version. A rollback takes away all that came after the version that it went
    back to, so the next one goes further back and never to what was taken out of service.
    """
    found = [champions for _, champions, _ in _replayed(moves)]
    return found[-1] if found else []


def way_back(moves: Sequence[LedgerEntry]) -> int | None:
    """Return the last version that was champion before today's, or ``None``."""
    champions = reign(moves)
    others = [version for version in champions if version != champions[-1]]
    return others[-1] if others else None


def taken_out(moves: Sequence[LedgerEntry], version: int) -> LedgerEntry | None:
    """Return the rollback that took a version out of service, unless it came back since.

    A rollback takes out the champion and every version before it that it goes past.
    """
    found = None
    for move, _, out in _replayed(moves):
        if version_of(move) == version:
            found = None
        elif version in out:
            found = move
    return found


def _replayed(
    moves: Sequence[LedgerEntry],
) -> Iterator[tuple[LedgerEntry, list[int], set[int]]]:
    """Yield each move with the champions that lead to it and the versions that it took out."""
    champions: list[int] = []
    for move in moves:
        version, out = version_of(move), set[int]()
        if kind_of(move) == ROLLBACK:
            out = {move.evidence["previous"]}
        if kind_of(move) == ROLLBACK and version in champions:
            kept = len(champions) - champions[::-1].index(version)
            out |= set(champions[kept:])
            champions = champions[:kept]
        else:
            champions = [*champions, version]
        yield move, champions, out
