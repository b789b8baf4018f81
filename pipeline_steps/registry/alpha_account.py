"""How much of alpha is left for one evaluation set, and how worn the set is.

A test at 5 % that is repeated every week with new candidates on the same rows promotes something
by chance within the year. So each set of rows has an account: all looks together may err with
probability ``alpha``. The share of look k of K is proportional to 1 / sqrt(k), of what is left:
early looks get more, late ones still enough. A look that promoted costs nothing: what it spent
goes on to the looks after it.

Sets that share rows share their account: of what an earlier look spent, a set bears the share of
its own rows that were looked at then. So the average row of a set has decided at most ``alpha`` in
vain, whatever the sets were called: one row added buys one row's part of a fresh account.

By the union bound over the looks until the first error, the probability that the set ever
promotes a candidate without a gain is at most ``alpha``, however the looks depend on each other,
as long as each p-value holds given the looks before it: candidates must not be chosen by their
scores on these rows.

References
----------
Wiens (2003), "A fixed sequence Bonferroni procedure for testing multiple endpoints",
Pharmaceutical Statistics 2, 211-215: alpha that is handed on by what was rejected.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline_steps.gate_types import Look
from pipeline_steps.types import Value


class Account(Value):
    """The account of one evaluation set before a look: which look it is, and what it may spend.

    ``inherited``: how many of the looks before were at other sets, by their share of its rows.
    """

    look: int
    looks: int
    alpha: float
    inherited: float = 0.0

    @property
    def wear(self) -> float:
        """The share of the planned looks that are used up with this one."""
        return self.look / self.looks


Shares = Mapping[str, float]
"""Digest of an earlier evaluation set -> share of today's rows that it has."""


def account(
    looks: Sequence[Look],
    this: Look,
    alpha: float,
    planned: int,
    shares: Shares | None = None,
) -> Account:
    """Return the account of the rows of ``this`` look.

    Parameters
    ----------
    looks : sequence of Look
        All looks, oldest first; those at other rows are passed over. One at the same rows about
        the same candidate, champion and parameters is this very look: it is taken up where it was.
    this : Look
        Whose ``promoted`` and ``spent`` are not read.
    alpha : float
        Probability of an error over all planned looks.
    planned : int
        Looks that the set is to serve; beyond them nothing may be spent.
    shares : mapping, optional
        Of the rows of ``this`` look, the share that each other set has; by default none.

    Examples
    --------
    >>> this = Look(dataset_digest="d", candidate_digest="c", champion_digest="b",
    ...             policy_digest="p", promoted=False, spent=0.0)
    >>> account([], this, 0.05, 1).alpha
    0.05
    >>> [round(account([], this, 0.05, n).alpha, 4) for n in (4, 52)]
    [0.018, 0.0038]
    """
    before = _before(looks, this, {**(shares or {}), this.dataset_digest: 1.0})
    used = math.fsum(share for _, share in before)
    position = 1 + math.floor(used + 0.5)
    in_vain = math.fsum(share * look.spent for look, share in before if not look.promoted)
    left = max(0.0, alpha - in_vain)
    parts = [1.0 / math.sqrt(k) for k in range(position, planned + 1)]
    same = sum(look.dataset_digest == this.dataset_digest for look, _ in before)
    return Account(
        look=position,
        looks=planned,
        alpha=left * parts[0] / math.fsum(parts) if parts else 0.0,
        inherited=used - same,
    )


def looks_of(verdicts: Iterable[Mapping[str, Any]]) -> tuple[Look, ...]:
    """Return the looks that recorded verdicts were, oldest first.

    Parameters
    ----------
    verdicts : iterable of mapping
        Decisions as JSON, as a ledger keeps them as evidence. One that tested no gain (a first
        version, a refusal for missing pieces) was no look.
    """
    return tuple(
        Look(
            dataset_digest=digest,
            candidate_digest=verdict["candidate_digest"],
            champion_digest=verdict["champion_digest"],
            policy_digest=verdict["policy_digest"],
            evaluate_digest=verdict.get("evaluate_digest", ""),
            promoted=verdict["verdict"] == "PROMOTE",
            spent=spent,
            verdict=number,
        )
        for number, verdict in enumerate(verdicts)
        for digest, spent in verdict.get("spent", {}).items()
    )


def looks_before(
    looks: Sequence[Look],
    datasets: frozenset[str],
    who: tuple[str, str, str, str],
    overlapping: frozenset[str] = frozenset(),
) -> tuple[Look, ...]:
    """Return the looks before a candidate was first judged on the last of some evaluation sets.

    Its own looks at the others are among them, where :func:`account` takes each up again: a set
    that joined later keeps the looks that others had at it meanwhile. The same verdict made again
    finds the same looks.

    Parameters
    ----------
    looks : sequence of Look
        All looks, oldest first.
    datasets : frozenset of str
        Digests of the evaluation sets that a gain is tested on.
    who : tuple of str
        Digests of candidate, champion, policy and parameters of evaluation.
    overlapping : frozenset of str
        Digests of other sets that share rows with these.
    """
    theirs = [look for look in looks if look.dataset_digest in datasets | overlapping]
    first: dict[str, int] = {}
    for place, look in enumerate(theirs):
        if look.dataset_digest in datasets and _who(look) == who:
            first.setdefault(look.dataset_digest, place)
    if {*first} < datasets:
        return tuple(theirs)
    end = theirs[max(first.values())] if first else None
    return tuple(itertools.takewhile(lambda look: not _of_one_verdict(look, end), theirs))


def _of_one_verdict(look: Look, other: Look | None) -> bool:
    return look is other or (
        other is not None and look.verdict is not None and look.verdict == other.verdict
    )


def _before(looks: Sequence[Look], this: Look, shares: Shares) -> list[tuple[Look, float]]:
    """Return the looks before this one that read some of its rows, each once, with their share.

    Of one decision over several sets that share rows with each other, the largest share counts.
    """
    found: dict[object, tuple[Look, float]] = {}
    seen = set()
    for look in looks:
        one, share = (look.dataset_digest, *_who(look)), shares.get(look.dataset_digest, 0.0)
        if one == (this.dataset_digest, *_who(this)):
            break
        if share <= 0.0 or one in seen:
            continue
        seen.add(one)
        key = one if look.verdict is None else look.verdict
        if key not in found or found[key][1] < share:
            found[key] = (look, share)
    return list(found.values())


def _who(look: Look) -> tuple[str, str, str, str]:
    return (
        *(look.candidate_digest, look.champion_digest),
        *(look.policy_digest, look.evaluate_digest),
    )
