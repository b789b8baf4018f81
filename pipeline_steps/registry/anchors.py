"""Anchors of the ledger in the registry, and what either side says of the other.

The registered model carries the hash of the ledger's last entry, each version that of the move that
made it champion. A tail that was cut off the ledger, or an entry that was forged with its hashes,
contradicts them; an alias or tag that was set by hand contradicts the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeline_steps.registry.champions import version_of, way_back
from pipeline_steps.registry.ledger import Ledger
from pipeline_steps.registry.ledger_chain import LedgerEntry, anchor_problem
from pipeline_steps.registry.tracking import Tracker

HEAD, MOVE = "holdfast.ledger_head", "holdfast.ledger_move"


def anchor(tracker: Tracker, ledger: Ledger, model_name: str) -> None:
    """Write the ledger's last entry, and the last move of the champion, into the registry's tags.

    Before a model's first version there is nothing to write to, and nothing happens. An anchor only
    goes forward: of two processes that write at once, the slower one does not turn it back.
    """
    tags, head = tracker.model_tags(model_name), ledger.head()
    if head is None or tags is None:
        return
    hashes = ledger.hashes()
    if _may_replace(tags.get(HEAD), hashes, head):
        tracker.tag_model(model_name, {HEAD: head.anchor})
    move = ledger.last_move(model_name)
    if move is not None:
        version = tracker.version(model_name, version_of(move))
        if _may_replace(tracker.version_tags(model_name, version.version).get(MOVE), hashes, move):
            tracker.tag_version(version, {MOVE: move.anchor})


def _may_replace(old: str | None, hashes: Mapping[int, str], new: LedgerEntry) -> bool:
    """Return whether an anchor may be written: one that contradicts the ledger is kept as proof."""
    if old is None:
        return True
    return old != new.anchor and anchor_problem(hashes, old, "") is None and _older(old, new)


def _older(anchor: str, entry: LedgerEntry) -> bool:
    return int(anchor.partition(":")[0]) < entry.sequence


def registry_problems(tracker: Tracker, ledger: Ledger, model_name: str) -> list[str]:
    """Return where the registry and the ledger contradict each other; empty if nowhere.

    The tags are read before the ledger: what somebody decides meanwhile is in the ledger before
    its tag is, and no tail is taken for cut.
    """
    head = tracker.model_tags(model_name) or {}
    numbers = tracker.version_numbers(model_name)
    versions = {number: tracker.version_tags(model_name, number) for number in numbers}
    hashes, moves = ledger.hashes(), ledger.moves(model_name)
    aliases = _alias_problems(tracker, model_name, moves)
    problems: list[str] = []
    anchors = {f"the registered model {model_name}": (head, HEAD)}
    last_moves = {version_of(move): move for move in moves}
    for number, tags in versions.items():
        anchors[f"version {number} of {model_name}"] = (tags, MOVE)
        if number not in last_moves and MOVE in tags:
            problems.append(
                f"version {number} of {model_name} says that it was champion, the ledger does not"
            )
    for where, (tags, key) in anchors.items():
        if key in tags:
            problem = anchor_problem(hashes, tags[key], where)
            problems += [] if problem is None else [problem]
    if moves and HEAD not in head:
        problems.append(f"the registered model {model_name} has no anchor: tag {HEAD} is missing")
    if not problems:  # a ledger that was cut or forged is not to be followed
        aliases = [f"{problem}; set it: holdfast ledger follow" for problem in aliases]
    return aliases + problems


def _alias_problems(tracker: Tracker, model_name: str, moves: list[LedgerEntry]) -> list[str]:
    """Return which aliases do not point where the ledger says."""
    wanted = {
        "champion": version_of(moves[-1]) if moves else None,
        "previous": way_back(moves) if moves else None,
    }
    found = tracker.aliases(model_name)
    return [
        f"the alias {alias} of {model_name} points to {_named(found.get(alias))}, "
        f"the ledger says {_named(version)}"
        for alias, version in wanted.items()
        if found.get(alias) != version
    ]


def _named(version: int | None) -> str:
    return "no version" if version is None else f"version {version}"
