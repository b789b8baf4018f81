"""Batches of rows of like length under a token budget: padding is what costs time, not steps."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

BUCKET_TOKENS = 2
"""Rows whose lengths round up to the same multiple share a bucket."""
LIKE_TOKENS = 8
"""Rows whose lengths round up to the same multiple may share a batch of inference."""
WHOLE_TOKENS = 16
"""Float32 numbers in the widest register of a CPU."""


def bucket_length(length: int) -> int:
    """Return the length rounded up to a multiple of ``BUCKET_TOKENS``."""
    return -(-length // BUCKET_TOKENS) * BUCKET_TOKENS


def batch_sizes(sorted_lengths: Sequence[int], batch_tokens: int) -> list[int]:
    """Return how many rows each batch takes from rows sorted by length.

    A batch of n rows costs n times its longest (bucketed) length; that never exceeds
    ``batch_tokens`` unless a single row does.

    Examples
    --------
    >>> batch_sizes([4, 4, 4, 8, 8], 16)
    [3, 2]
    """
    sizes: list[int] = []
    rows = 0
    for length in map(bucket_length, sorted_lengths):
        if rows and length * (rows + 1) > batch_tokens:
            sizes.append(rows)
            rows = 0
        rows += 1
    return [*sizes, rows] if rows else sizes


def length_sorted_batches(lengths: Sequence[int], batch_tokens: int) -> list[list[int]]:
    """Return row indices in batches, longest rows first: a memory error comes at once.

    The lengths of a batch round up to the same multiple of ``LIKE_TOKENS``, and whole multiples of
    ``WHOLE_TOKENS`` keep to themselves: the attention of a CPU takes another path there, and a row
    that is padded to one comes out otherwise than alone. So what a model makes of a row hardly
    depends on its companions: on a CPU not at all in bf16, and in fp32 by rounding.

    Examples
    --------
    >>> length_sorted_batches([4, 9, 3, 16, 4, 10], 1024)
    [[3], [1, 5], [2, 0, 4]]
    """
    order = sorted(range(len(lengths)), key=lambda row: (lengths[row], row))
    batches = []
    for _, group in itertools.groupby(order, key=lambda row: company(lengths[row])):
        rows = list(group)
        start = 0
        for size in batch_sizes([lengths[row] for row in rows], batch_tokens):
            batches.append(rows[start : start + size])
            start += size
    return batches[::-1]


def company(length: int) -> tuple[int, bool]:
    """Return which rows a row of this length may be batched with: those that have the same.

    Examples
    --------
    >>> company(9), company(10), company(16)
    ((2, False), (2, False), (2, True))
    """
    return -(-length // LIKE_TOKENS), length % WHOLE_TOKENS == 0
