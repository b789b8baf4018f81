"""Universal triggers of a text classifier, found on rows that are not attacked."""

from __future__ import annotations

from collections.abc import Sequence

from flows.gradients import reading_of
from flows.victims import Victim
from pipeline_steps.errors import ConfigurationError
from pipeline_steps.evaluation.attacks.goals import ThisLabel, WrongLabel
from pipeline_steps.evaluation.attacks.passage import Row
from pipeline_steps.evaluation.attacks.triggers import Words, find_trigger, preceding

_ROWS = 32
_MOST_LABELS = 5  # with more of them one trigger is found for all: each costs a search
_PROPOSED = 10


class TriggerFinder:
    """Finds the trigger of each true label when it is first asked for.

    Parameters
    ----------
    victim : Victim
        Whose gradients propose words, and whose answers decide.
    held_out : sequence of mapping
        Rows in the order in which they are to be used.
    target : str, optional
        The label that rows are to get; those that have it already are not used.

    Raises
    ------
    ConfigurationError
        If there are no such rows.
    """

    def __init__(self, victim: Victim, held_out: Sequence[Row], target: str | None = None) -> None:
        self.victim = victim
        self.held_out = [row for row in held_out if row["label"] != target]
        self.target = target
        refuse_without_rows(len(self.held_out))
        self._found: dict[str, Words | None] = {}

    def of_label(self, label: str) -> list[Words]:
        """Return the trigger for rows of a true label; none where no other row has it."""
        group = label if len(self.victim.labels) <= _MOST_LABELS else ""
        if group not in self._found:
            known = [row for row in self.held_out if row["label"] in self.victim.labels]
            rows = [row for row in known if group in ("", row["label"])][:_ROWS]
            self._found[group] = self._search(rows) if rows else None
        found = self._found[group]
        return [] if found is None else [found]

    def _search(self, rows: Sequence[Row]) -> Words:
        return find_trigger(
            lambda words: self._proposals(rows, words),
            lambda several: [self._harm(rows, words) for words in several],
        )

    def _proposals(self, rows: Sequence[Row], words: Words) -> list[list[str]]:
        from pipeline_steps.inference.flips import shared_flips

        predictor = self.victim.predictor
        assert predictor is not None  # noqa: S101 - the services have asked
        places, start = [], 0
        for word in words:
            places.append(("text", start, start + len(word)))
            start += len(word) + 1
        readings = [
            reading_of(_behind(words, row), places, self.victim.labels, self.target) for row in rows
        ]
        found = shared_flips(predictor, readings, _PROPOSED + 1)
        return [
            [new for new, _ in several if new != word][:_PROPOSED]
            for word, several in zip(words, found, strict=True)
        ]

    def _harm(self, rows: Sequence[Row], words: Words) -> float:
        labels = self.victim.labels
        goal = WrongLabel(labels) if self.target is None else ThisLabel(labels, self.target)
        answers = self.victim([_behind(words, row) for row in rows])
        return sum(goal.judge(answer).harm for answer in answers) / len(rows)


def refuse_without_rows(n_held_out: int) -> None:
    """Refuse to look for a trigger where no row is left to find it on.

    Raises
    ------
    ConfigurationError
        If there is none.
    """
    if n_held_out < 1:
        raise ConfigurationError(
            "universal_trigger finds its words on rows that are not attacked: there are none",
            expected="more rows than attack.n_examples (--examples)",
            fix="attack fewer rows, or leave universal_trigger out",
        )


def _behind(words: Words, row: Row) -> Row:
    return {**row, "text": preceding(words, row["text"])}
