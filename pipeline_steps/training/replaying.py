"""Earlier rows among the new ones: which labels there are then, and which rows come in an epoch."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline_steps.errors import TrainingError
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.inference.batching import bucket_length
from pipeline_steps.inference.examples_file import ExampleRows, read_examples
from pipeline_steps.inference.learners.learner import Learner
from pipeline_steps.inference.tokenization import Encoded
from pipeline_steps.training.batching import BatchPlanner
from pipeline_steps.training.data import EncodedDataset
from pipeline_steps.training.objectives.replay import replay_count, replay_rows


@dataclass(frozen=True)
class NewAndEarlier(Encoded):
    """Token ids of new rows and of earlier ones behind them; each part says what it reads."""

    parts: tuple[Encoded, Encoded]

    @classmethod
    def joined(cls, new: Encoded, earlier: Encoded) -> NewAndEarlier:
        """Return both as one."""
        n_truncated = new.n_truncated + earlier.n_truncated
        return cls([*new.token_ids, *earlier.token_ids], n_truncated, (new, earlier))

    @property
    def lengths(self) -> list[int]:
        """Tokens of each row."""
        return list(itertools.chain.from_iterable(part.lengths for part in self.parts))

    @property
    def ids_read(self) -> Sequence[Sequence[int]]:
        """All ids that a model meets in training."""
        return list(itertools.chain.from_iterable(part.ids_read for part in self.parts))


class ReplayedDataset(EncodedDataset):
    """New rows, and behind them the earlier ones that may come again.

    Parameters
    ----------
    new, earlier : EncodedDataset
        Encoded alike, with the same labels.
    share : float
        Of earlier rows in each epoch.
    """

    def __init__(self, new: EncodedDataset, earlier: EncodedDataset, share: float) -> None:
        encoded = NewAndEarlier.joined(new.encoded, earlier.encoded)
        super().__init__(encoded, [*new.labels, *earlier.labels])
        self.n_new = len(new)
        self.share = share


class ReplayPlanner(BatchPlanner):
    """Batches of all new rows and, in each epoch, some of the earlier ones.

    Parameters
    ----------
    lengths : sequence of int
        Tokens of each row, new ones first.
    n_new : int
        How many are new.
    share : float
        Of earlier rows in each epoch.
    batch_tokens, seed, multiple_of : int
        As of :class:`BatchPlanner`.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        n_new: int,
        share: float,
        batch_tokens: int,
        seed: int,
        multiple_of: int = 1,
    ) -> None:
        self._of_all = np.array([bucket_length(length) for length in lengths], dtype=np.int64)
        self._n_new, self._seed = n_new, seed
        self._count = replay_count(n_new, share)
        super().__init__(self._of_all[self._rows(0)].tolist(), batch_tokens, seed, multiple_of)

    def __iter__(self) -> Iterator[list[int]]:
        rows = self._rows(self.epoch)
        self.buckets = self._of_all[rows]
        for batch in super().__iter__():
            yield rows[batch].tolist()

    def padding_efficiency(self, lengths: Sequence[int]) -> float:
        """Return real tokens over padded tokens of one epoch."""
        tokens = np.asarray(lengths)
        padded = sum(tokens[batch].max() * len(batch) for batch in self)
        return float(tokens[self._rows(self.epoch)].sum() / padded)

    def _rows(self, epoch: int) -> np.ndarray[Any, Any]:
        """Return the rows of an epoch; of each length bucket equally many in every epoch."""
        strata = self._of_all[self._n_new :].tolist()
        again = replay_rows(strata, self._count, seed=self._seed, epoch=epoch)
        return np.array([*range(self._n_new), *(self._n_new + row for row in again)])


def with_earlier(
    new: EncodedDataset, earlier: EncodedDataset, params: FinetuneParams
) -> ReplayedDataset:
    """Return new rows with earlier ones behind them."""
    replay: Any = params.objective.replay
    return ReplayedDataset(new, earlier, replay.share)


def plan_batches(rows: EncodedDataset, params: FinetuneParams) -> BatchPlanner:
    """Return the planner of the batches of a training."""
    lengths = rows.encoded.lengths
    if isinstance(rows, ReplayedDataset):
        of_new = (rows.n_new, rows.share)
        return ReplayPlanner(
            lengths, *of_new, params.batch_tokens, params.seed, params.accumulation_steps
        )
    return BatchPlanner(lengths, params.batch_tokens, params.seed, params.accumulation_steps)


def earlier_examples(params: FinetuneParams) -> ExampleRows | None:
    """Return the examples of ``finetune.objective.replay``, where there is one."""
    replay = params.objective.replay
    return None if replay is None else read_examples(Path(replay.examples))


def refuse_foreign_examples(params: FinetuneParams, train: ExampleRows) -> None:
    """Refuse earlier examples that are of another problem than the training rows.

    Raises
    ------
    TrainingError
        With every file that has rows of another form.
    """
    mine = _form(train)
    mistakes: list[str] = []
    for name in ("replay", "ewc"):
        section = getattr(params.objective, name)
        rows = None if section is None else read_examples(Path(section.examples))
        if rows is not None and len(rows) and _form(rows) != mine:
            mistakes.append(
                f"finetune.objective.{name}.examples: {section.examples} has {_form(rows)}"
            )
    if mistakes:
        raise TrainingError(
            "\n  - ".join(["earlier examples are of another problem:", *mistakes]),
            expected=f"rows as those of training: {mine}",
            fix="name data/splits/train.parquet of an earlier workspace of the same problem",
        )


def _form(rows: ExampleRows) -> str:
    """Return what the first row has beside its texts, in words."""
    if not len(rows):
        return "no rows"
    target = sorted(json.loads(rows.targets[0])) if rows.targets[0] else []
    label = [] if rows.labels[0] is None else ["a label"]
    parts = [*label, *(f"{name} in the target" for name in target)]
    return ", ".join(parts) or "neither label nor target"


def labels_to_learn(
    problem: Learner,
    train: ExampleRows,
    earlier: ExampleRows | None,
    of_old_model: Sequence[str] = (),
) -> tuple[str, ...]:
    """Return the labels of new and earlier rows, then those that only an old model has."""
    rows = train if earlier is None else _joined(train, earlier)
    labels = problem.labels_of(rows)
    return (*labels, *(label for label in of_old_model if label not in labels))


def _joined(one: ExampleRows, other: ExampleRows) -> ExampleRows:
    return ExampleRows(
        example_ids=[*one.example_ids, *other.example_ids],
        texts=[*one.texts, *other.texts],
        pairs=[*one.pairs, *other.pairs],
        labels=[*one.labels, *other.labels],
        targets=[*one.targets, *other.targets],
        metadata={},
    )
