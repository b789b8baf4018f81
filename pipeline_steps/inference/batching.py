"""Batches of rows of like length under a token budget: padding is what costs time, not steps."""

from __future__ import annotations

from collections.abc import Sequence

BUCKET_TOKENS = 2
"""Rows whose lengths round up to the same multiple share a bucket."""


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
    """Return row indices in batches, longest rows first: a memory error comes at once."""
    order = sorted(range(len(lengths)), key=lambda row: (lengths[row], row))
    batches = []
    start = 0
    for size in batch_sizes([lengths[row] for row in order], batch_tokens):
        batches.append(order[start : start + size])
        start += size
    return batches[::-1]
