"""The mean of each part of the loss over some steps, read off the device only when asked for."""

from __future__ import annotations

from collections.abc import Mapping

import torch


class PartsSinceLastAsked:
    """Adds parts up where they are; a batch's part is its share of the step's.

    Examples
    --------
    >>> parts = PartsSinceLastAsked()
    >>> for value in (1.0, 3.0):  # two steps of one batch each
    ...     parts.add({"clean": torch.tensor(value)}, steps_done=int(value))
    >>> parts.means(steps_done=3)
    {'clean': 2.0}
    >>> parts.means(steps_done=3)
    {}
    """

    def __init__(self) -> None:
        self._sums: dict[str, torch.Tensor] = {}
        self._since = 0

    def add(self, parts: Mapping[str, torch.Tensor], steps_done: int) -> None:
        """Add the parts of one batch, of the step after ``steps_done`` others."""
        if not self._sums:
            self._since = steps_done
        for name, value in parts.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value

    def means(self, steps_done: int) -> dict[str, float]:
        """Return the mean of each part over the steps since this was last asked; begin anew."""
        n_steps = max(1, steps_done - self._since)
        found = {name: float(value) / n_steps for name, value in self._sums.items()}
        self._sums = {}
        return found
