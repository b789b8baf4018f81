"""Rows that read otherwise in each epoch: a function of seed, epoch and row alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from pipeline_steps.noise import perturb
from pipeline_steps.objective_params import AugmentationParams

Encode = Callable[[Sequence[str], Sequence[str | None]], list[list[int]]]


class Augmentation:
    """The token ids of the rows that an epoch changes.

    They are made when the epoch begins, in one call of the tokenizer. Batches are planned by the
    lengths of the rows as they are: a changed row may be a little longer, a batch with it too.

    Parameters
    ----------
    params : AugmentationParams
        How many rows, and which noise.
    texts, pairs : sequence of str
        The rows as they were written.
    encode : callable
        Makes token ids of texts and pairs.
    seed : int
        Same seed, same noise.
    """

    def __init__(
        self,
        params: AugmentationParams,
        texts: Sequence[str],
        pairs: Sequence[str | None],
        encode: Encode,
        seed: int,
    ) -> None:
        self.params = params
        self.texts, self.pairs = texts, pairs
        self.encode = encode
        self.seed = seed
        self.changed: dict[int, list[int]] = {}

    def set_epoch(self, epoch: int) -> None:
        """Change the rows of an epoch, counted from 0."""
        rows = [row for row in range(len(self.texts)) if self._is_changed(row, epoch)]
        if not rows:
            self.changed = {}
            return
        texts = [self._noisy(self.texts[row], epoch, row, "text") for row in rows]
        pairs = [
            None if pair is None else self._noisy(pair, epoch, row, "pair")
            for row, pair in ((row, self.pairs[row]) for row in rows)
        ]
        self.changed = dict(zip(rows, self.encode(texts, pairs), strict=True))

    def _is_changed(self, row: int, epoch: int) -> bool:
        generator = random.Random(f"{self.seed}:{epoch}:{row}")  # noqa: S311 - no secret
        return generator.random() < self.params.share_in(epoch)

    def _noisy(self, text: str, epoch: int, row: int, part: str) -> str:
        for kind, rate in self.params.rates().items():
            text = perturb(text, kind, rate, seed=self.seed, example_id=f"{epoch}:{row}:{part}")
        return text
