"""Universal triggers of a text classifier, found on rows that are not attacked."""

from __future__ import annotations

from collections.abc import Sequence

from flows.victims import Victim
from pipeline_steps.errors import ConfigurationError
from pipeline_steps.evaluation.attacks.goals import WrongLabel
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

    Raises
    ------
    ConfigurationError
        If there are no such rows.
    """

    def __init__(self, victim: Victim, held_out: Sequence[Row]) -> None:
        if not held_out:
            raise ConfigurationError(
                "universal_trigger finds its words on rows that are not attacked: there are none",
                expected="more rows than attack.n_examples (--examples)",
                fix="attack fewer rows, or leave universal_trigger out",
            )
        self.victim = victim
        self.held_out = held_out
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
        from pipeline_steps.inference.saliency import Reading

        predictor = self.victim.predictor
        assert predictor is not None  # noqa: S101 - the services have asked
        spans, start = [], 0
        for word in words:
            spans.append((0, start, start + len(word)))
            start += len(word) + 1
        readings = [
            Reading(
                preceding(words, row["text"]),
                row["text_pair"],
                self.victim.labels.index(row["label"]),
                spans,
            )
            for row in rows
        ]
        found = shared_flips(predictor, readings, _PROPOSED + 1)
        return [
            [new for new, _ in several if new != word][:_PROPOSED]
            for word, several in zip(words, found, strict=True)
        ]

    def _harm(self, rows: Sequence[Row], words: Words) -> float:
        goal = WrongLabel(self.victim.labels)
        answers = self.victim([{**row, "text": preceding(words, row["text"])} for row in rows])
        return sum(goal.judge(answer).harm for answer in answers) / len(rows)
