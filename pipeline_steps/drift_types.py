"""The nouns of drift: what was seen in the traffic, what it costs, and what is to be done."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from pipeline_steps.types import Value

WindowStatus = Literal["drift", "no_drift", "not_testable"]


class DriftScore(Value):
    """One comparison of traffic with a reference; ``drifted`` is ``None`` where it is not testable.

    ``method``, ``score`` and ``threshold`` say how it was judged: above the threshold is drift.
    """

    name: str
    method: str
    score: float | None = None
    threshold: float | None = None
    drifted: bool | None = None
    reason: str | None = None


class MovedWord(Value):
    """A word that became more frequent, or rarer: shares of rows that have it, and z."""

    word: str
    reference_share: float
    current_share: float
    z: float


class MovedCluster(Value):
    """A cell of like rows whose share moved; ``new`` rows are farther off than any cell.

    ``moved``: whether the change is beyond chance (Benjamini-Hochberg over all cells, q = 0.1).
    """

    name: str
    reference_share: float
    current_share: float
    p_value: float
    moved: bool
    examples: tuple[str, ...] = ()


class Explanation(Value):
    """What moved between a reference and a window; it is stored whether or not there is drift.

    ``mix_effect``: change of the risk because other kinds of rows come; ``within_effect``: because
    rows of a kind are answered worse, which is what a retraining can mend. ``None`` without labels.
    """

    n: int
    words: tuple[MovedWord, ...] = ()
    clusters: tuple[MovedCluster, ...] = ()
    n_labelled: int = 0
    mix_effect: float | None = None
    within_effect: float | None = None

    @property
    def shows_rows(self) -> bool:
        """Whether texts of rows stand in it."""
        return any(cluster.examples for cluster in self.clusters)

    def without_rows(self) -> Explanation:
        """Return it without texts of rows: words and numbers stay."""
        emptied = tuple(c.model_copy(update={"examples": ()}) for c in self.clusters)
        return self.model_copy(update={"clusters": emptied})


class EstimatedHarm(Value):
    """The error rate as it is guessed without labels: good for ranking, never a proof.

    ``atc``: rows less sure than a threshold set on the reference (Garg et al. 2022); ``cbpe``: one
    minus the mean confidence after temperature scaling; ``label_mix``: change of the error rate
    that another mix of labels alone would make (Lipton et al. 2018).
    """

    base_risk: float
    atc: float | None = None
    cbpe: float | None = None
    label_mix: float | None = None

    @property
    def disagreement(self) -> float | None:
        """How far the two estimates are apart; ``None`` where one is missing."""
        return None if self.atc is None or self.cbpe is None else abs(self.atc - self.cbpe)


class DriftReport(Value):
    """One window of traffic beside its reference.

    ``evidence`` is the detector's wealth after the window and ``peak`` its largest within it; an
    alarm at ``alarm_sequence`` where it reached ``threshold``. ``n_compared`` rows of ``n_read``
    were left after repeats were taken out. ``passed_over``: rows that other versions answered, by
    version; they are read and not compared.
    """

    model_name: str
    version: int
    reference_digest: str
    current_digest: str
    first_sequence: int
    last_sequence: int
    n_read: int
    n_compared: int
    status: WindowStatus
    evidence: float
    peak: float
    threshold: float
    alarm_sequence: int | None = None
    scores: tuple[DriftScore, ...] = ()
    explanation: Explanation | None = None
    estimated_harm: EstimatedHarm | None = None
    notes: tuple[str, ...] = ()
    passed_over: dict[int, int] = Field(default_factory=dict)


class RetrainVerdict(StrEnum):
    """What follows from a window and its tickets."""

    RETRAIN = "RETRAIN"
    WAIT = "WAIT"
    REFUSE = "REFUSE"
    NO_NEW_EVIDENCE = "NO_NEW_EVIDENCE"


class RetrainDecision(Value):
    """Whether to train again, why, and about which rows of the traffic log.

    ``decision_id`` is the same for the same verdict about the same ticket: a retry is the same
    event. ``window``: first and last sequence of the rows that it is about.
    """

    decision_id: str
    verdict: RetrainVerdict
    reasons: tuple[str, ...]
    model_name: str
    version: int
    ticket: str | None = None
    window: tuple[int, int] | None = None
    minutes_left: float
