"""What is said of attacks: of one row, of one attack, and of all of them together."""

from __future__ import annotations

from typing import Literal

from pipeline_steps.errors import counted
from pipeline_steps.evaluation_types import MetricValue
from pipeline_steps.types import Value


class AttackResult(Value):
    """What an attack made of one row.

    ``status``: ``wrong`` (answered wrongly before anything was changed), ``broken``, ``unbroken``
    (all that the constraints allow was tried, and something was) or ``unknown`` (the search or its
    budget ended). ``unchangeable``: the attack came upon no change of the row that it allows, so
    nothing was tried and the row says nothing of the model.
    ``perturbed`` is the most harmful text found, ``n_changed`` how many of its ``n_words`` differ.
    ``written`` stands in the place of the words numbered ``edited``: with the row, that is what was
    read. ``harm``: how near the goal the exact model's answer to that text is; it orders texts of
    one row. ``similarity``: cosine of both texts' vectors, of broken rows.
    """

    example_id: str
    status: Literal["wrong", "broken", "unbroken", "unknown"]
    original: str
    perturbed: str
    truth: str
    clean_prediction: str
    prediction: str
    n_queries: int
    n_changed: int
    n_words: int
    harm: float = 0.0
    edited: tuple[int, ...] = ()
    written: tuple[str, ...] = ()
    similarity: float | None = None
    unchangeable: bool = False


class BudgetPoint(Value):
    """The accuracy under an attack that may spend ``budget``, with its pointwise interval."""

    budget: int
    accuracy: float
    n: int
    ci_low: float
    ci_high: float


class Alone(Value):
    """How many rows one attack breaks, and how many that no other does."""

    name: str
    n_broken: int
    n_only: int


class PairedAttack(Value):
    """Which of two versions holds on the same rows under the same attack.

    ``difference`` is the candidate's accuracy under attack minus the champion's, ``p_value`` that
    of "the candidate holds more often", one-sided. ``only_champion_broken`` and
    ``only_candidate_broken`` are ids of rows; a row that was wrong before the attack counts.
    """

    n: int
    difference: float
    ci_low: float
    ci_high: float
    p_value: float
    only_champion_broken: tuple[str, ...]
    only_candidate_broken: tuple[str, ...]


class Transfer(Value):
    """What the texts that broke one version do to another.

    ``wrong`` is of all texts, ``newly_wrong`` of those on whose rows the other was right before;
    it is ``None`` where that is not known.
    """

    found_on: str
    judged_on: str
    wrong: MetricValue
    newly_wrong: MetricValue | None = None


class AttackCost(Value):
    """What an attack cost.

    ``n_queries``: texts that the searches asked about. ``n_scouted`` and ``n_exact``: different
    texts that the scout and the exact model read. ``n_forwards``: calls of either model, with
    ``n_tokens`` real and ``n_padding`` padding tokens; 0 where a model does not say.
    """

    n_queries: int
    n_scouted: int = 0
    n_exact: int = 0
    n_forwards: int = 0
    n_tokens: int = 0
    n_padding: int = 0
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0

    @property
    def n_texts(self) -> int:
        """Different texts that were read."""
        return self.n_scouted + self.n_exact

    def plus(self, other: AttackCost) -> AttackCost:
        """Return what both cost."""
        mine, theirs = self.model_dump(), other.model_dump()
        return AttackCost(**{name: mine[name] + theirs[name] for name in mine})


class StoppedAttack(Value):
    """Where an attack stopped because it was clear how it ends.

    ``against``: the floor, or the margin to the champion, each as ``name: bound``. ``decision``:
    ``above`` all of them, ``below`` one of them, or ``open``. The interval holds at every number of
    rows at once; ``margin_low`` and ``margin_high`` are that of the difference from the champion.
    """

    decision: Literal["above", "below", "open"]
    n: int
    of: int
    against: tuple[str, ...]
    ci_low: float
    ci_high: float
    margin_low: float | None = None
    margin_high: float | None = None


class AgainstVersion(Value):
    """An attack on this version and on another: each attacked anew, and by the other's texts.

    ``accuracy`` and ``curve`` are the other's.
    """

    name: str
    accuracy: MetricValue
    paired: PairedAttack
    curve: tuple[BudgetPoint, ...] = ()
    transfers: tuple[Transfer, ...] = ()


class AttackSummary(Value):
    """One attack on one version.

    ``accuracy``: rows that are right before and under it, of all. ``seeds``: the same for each
    seed, where there are several; all else is of the worst of them on each row. ``examples``:
    broken rows, fewest changes first, and then rows that held. ``curve`` is by queries a row,
    ``by_words`` by changed words.
    """

    name: str
    paper: str
    weakness: str
    accuracy: MetricValue
    clean: MetricValue
    metrics: tuple[MetricValue, ...]
    n_wrong: int
    n_broken: int
    n_unbroken: int
    n_unknown: int
    curve: tuple[BudgetPoint, ...]
    by_words: tuple[BudgetPoint, ...] = ()
    cost: AttackCost
    examples: tuple[AttackResult, ...] = ()
    seeds: tuple[MetricValue, ...] = ()
    stopped: StoppedAttack | None = None
    versus: AgainstVersion | None = None

    def metric(self, name: str) -> MetricValue | None:
        """Return the metric called ``name``, or ``None`` where there is none."""
        return next((metric for metric in self.metrics if metric.name == name), None)


class WorstOfAll(Value):
    """Each row under the attack that harms it most."""

    accuracy: MetricValue
    alone: tuple[Alone, ...]
    versus: AgainstVersion | None = None


class UnderAttack(Value):
    """All attacks on one version, on the same rows of its test set."""

    attacks: tuple[AttackSummary, ...]
    worst: WorstOfAll | None = None


def said_of_unchangeable(attack: str, share: MetricValue | None) -> str | None:
    """Return what is to be said of rows that an attack could not change; ``None``: nothing.

    ``share``: the metric ``unchangeable`` of the attack, if it has been measured.
    """
    if share is None or not share.value:
        return None
    n = round(share.value * share.n)
    little = ", so that its numbers say little of this model" if 2 * n >= share.n else ""
    return (
        f"{attack}: {n} of {counted(share.n, 'row')} that were right have nothing that it may "
        f"change, and hold whatever the model is{little}"
    )
