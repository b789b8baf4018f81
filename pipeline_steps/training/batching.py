"""The order of training batches: a function of seed and epoch alone, so a resume is exact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from pipeline_steps.inference.batching import batch_sizes, bucket_length


class BatchPlanner(Sampler[list[int]]):
    """Batches of like length under a token budget, rows and batches shuffled anew each epoch.

    Rows are shuffled within their length bucket, cut into batches, and the batches are shuffled.
    Where the cuts fall depends on the lengths only: every epoch has the same number of batches.

    Parameters
    ----------
    lengths : sequence of int
        Tokens of each row.
    batch_tokens : int
        Padded tokens of a batch at most.
    seed : int
        With the epoch it decides the order.
    multiple_of : int
        The batches are a multiple of it, so that no step has fewer than the others: the largest
        ones are cut in two until they are, or have one row.
    """

    def __init__(
        self, lengths: Sequence[int], batch_tokens: int, seed: int, multiple_of: int = 1
    ) -> None:
        self.buckets = np.array([bucket_length(length) for length in lengths], dtype=np.int64)
        self.seed = seed
        self.epoch = 0
        sizes = batch_sizes(sorted(self.buckets.tolist()), batch_tokens)
        sizes = cut_to_multiple(sizes, multiple_of)
        self.cuts = np.cumsum(sizes)[:-1]
        self.n_batches = len(sizes)

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch the next iteration is."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[list[int]]:
        generator = np.random.default_rng([self.seed, self.epoch])
        order = np.lexsort((generator.random(len(self.buckets)), self.buckets))
        batches = np.split(order, self.cuts)
        for index in generator.permutation(self.n_batches):
            yield batches[index].tolist()

    def padding_efficiency(self, lengths: Sequence[int]) -> float:
        """Return real tokens over padded tokens of one epoch."""
        tokens = np.asarray(lengths)
        padded = sum(tokens[batch].max() * len(batch) for batch in self)
        return float(tokens.sum() / padded)


def cut_to_multiple(sizes: Sequence[int], multiple_of: int) -> list[int]:
    """Return batch sizes, the largest cut in two until their number is a multiple.

    Examples
    --------
    >>> cut_to_multiple([4, 9, 2], 2)
    [4, 5, 4, 2]
    """
    cut = list(sizes)
    while len(cut) % multiple_of and max(cut) > 1:
        largest = cut.index(max(cut))
        half = cut[largest] // 2
        cut[largest : largest + 1] = [cut[largest] - half, half]
    return cut
