"""What the report says of attacks: rows of its tables, drawings, texts with the edits marked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline_steps.attack_types import (
    AgainstVersion,
    AttackResult,
    AttackSummary,
    Transfer,
    UnderAttack,
    said_of_unchangeable,
)
from pipeline_steps.evaluation_types import MetricValue
from pipeline_steps.reporting.charts import axis_ticks, interval_lanes
from pipeline_steps.reporting.curves import budget_chart
from pipeline_steps.reporting.marked_text import Part, marked
from pipeline_steps.reporting.told_answers import told_answer

Lane = tuple[str, tuple[MetricValue, ...], str]
NOTES = (
    (
        "Accuracy under attack counts all rows; the success rate counts only rows that were right "
        "before, and flatters a version that was right on fewer, easier ones."
    ),
    (
        "A row that held may break under another attack: only verified rows are proven, for the "
        "changes of that attack alone."
    ),
    "Queries count what the search asked, also where the answer was known from an earlier attack.",
    "Words changed and similarity are of broken rows: a strong version breaks by larger changes.",
    "A cosine of sentence vectors hardly notices one word or a negation.",
    "The more attacks and seeds, the lower the worst case: compare versions under the same ones.",
)
TRANSFER_NOTE = (
    "That the other's texts fail says little: an attacker would search anew on this version."
)


@dataclass(frozen=True)
class Example:
    """A row of an attack, its text with the edits marked."""

    result: AttackResult
    parts: Sequence[Part]

    @property
    def truth(self) -> str:
        """What is right, in words."""
        return told_answer(self.result.truth, self.result.original)

    @property
    def prediction(self) -> str:
        """What the model answered to the changed text, in words."""
        return told_answer(self.result.prediction, self.result.perturbed)


@dataclass(frozen=True)
class AttackTables:
    """Everything that the part of the report on attacks shows."""

    under: UnderAttack
    ticks: tuple[tuple[float, float], ...]
    lanes: tuple[Lane, ...]
    curves: tuple[tuple[str, str], ...]
    broke_none: tuple[str, ...]
    by_words: tuple[tuple[str, str], ...]
    examples: tuple[tuple[AttackSummary, tuple[Example, ...], tuple[Example, ...]], ...]
    opponent: str | None
    unchangeable: tuple[str, ...]
    notes: tuple[str, ...] = NOTES
    transfer_note: str = TRANSFER_NOTE


def attack_tables(under: UnderAttack) -> AttackTables:
    """Return tables and drawings of the attacks on a version."""
    low = axis_ticks(0.0)
    versus = [attack.versus for attack in under.attacks if attack.versus is not None]
    return AttackTables(
        under=under,
        ticks=tuple((tick, 100.0 * tick) for tick in low),
        lanes=tuple(_lanes(under)),
        curves=tuple((attack.name, _curve(attack)) for attack in under.attacks),
        broke_none=tuple(a.name for a in under.attacks if a.curve and not _curve(a)),
        by_words=tuple((attack.name, _by_words(attack)) for attack in under.attacks),
        examples=tuple((attack, *marked_examples(attack)) for attack in under.attacks),
        opponent=versus[0].name if versus else None,
        unchangeable=tuple(_unchangeable(under.attacks)),
    )


def transfer_onto(transfers: Sequence[Transfer], judged_on: str) -> MetricValue | None:
    """Return the share of the other's texts that break a version, or ``None``."""
    return next((t.wrong for t in transfers if t.judged_on == judged_on), None)


def _unchangeable(attacks: Sequence[AttackSummary]) -> Iterator[str]:
    for attack in attacks:
        said = said_of_unchangeable(attack.name, attack.metric("unchangeable"))
        if said is not None:
            yield said


def _lanes(under: UnderAttack) -> Iterator[Lane]:
    for attack in under.attacks:
        yield _lane(attack.name, attack.accuracy, attack.clean, attack.versus)
    if under.worst is not None:
        worst = under.worst
        yield _lane("worst case", worst.accuracy, under.attacks[0].clean, worst.versus)


def _lane(
    name: str, accuracy: MetricValue, clean: MetricValue, versus: AgainstVersion | None
) -> Lane:
    shown = (accuracy, clean)
    other = None if versus is None else versus.accuracy.value
    return name, shown, interval_lanes(shown, 0.0, other)


def _curve(attack: AttackSummary) -> str:
    other = () if attack.versus is None else attack.versus.curve
    name = f"accuracy under {attack.name}, by queries a row"
    return budget_chart(attack.curve, other, name, "queries a row")


def _by_words(attack: AttackSummary) -> str:
    name = f"accuracy under {attack.name}, by changed words"
    return budget_chart(attack.by_words, (), name, "changed words of a row")


def marked_examples(attack: AttackSummary) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """Return rows that an attack broke, and rows that held, their texts with the edits marked."""
    told = [Example(r, marked(r.original, r.perturbed)) for r in attack.examples]
    broken = tuple(example for example in told if example.result.status == "broken")
    return broken, tuple(example for example in told if example.result.status != "broken")
