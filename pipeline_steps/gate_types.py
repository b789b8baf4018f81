"""The nouns of the gate: what it weighs, what it asks, what it decides."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from pipeline_steps.types import Value


class SeedNoise(Value):
    """How far one axis spreads when nothing but the seed changes: standard deviation of k runs."""

    axis: str
    std: float
    runs: int
    source: str


class Look(Value):
    """One use of an evaluation set to decide about a candidate, and the alpha that it spent.

    ``verdict`` numbers the verdicts: looks of one number were one decision over several sets.
    """

    dataset_digest: str
    candidate_digest: str
    champion_digest: str
    policy_digest: str
    evaluate_digest: str = ""
    promoted: bool
    spent: float
    verdict: int | None = None


class ShadowEvidence(Value):
    """How candidate and champion answered the rows of a window of traffic.

    ``n``: rows that both answered, without those whose right answer nobody could tell;
    ``n_different``: of these, how many they answered differently; ``n_candidate_better`` and
    ``n_champion_better``: of these, by their labels.
    """

    candidate_digest: str
    champion_digest: str
    window_digest: str
    n: int
    n_different: int
    n_candidate_better: int
    n_champion_better: int


class Verdict(StrEnum):
    """What the gate says of a candidate."""

    PROMOTE = "PROMOTE"
    HOLD = "HOLD"
    REJECT = "REJECT"
    INCONCLUSIVE = "INCONCLUSIVE"


class GateCheck(Value):
    """One question that the gate asked."""

    name: str
    candidate: float | None
    champion: float | None = None
    margin: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    passed: bool
    reason: str
    p_value: float | None = None
    corrected: float | None = None


class GateDecision(Value):
    """The gate's verdict with everything that it rests on.

    ``datasets`` and ``predictions`` are digests by name, ``policy_digest`` and ``evaluate_digest``
    those of the parameters that it was made with; ``alpha`` is the level at which gains
    were tested, ``spent`` what this look took from the account of each evaluation set.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    checks: tuple[GateCheck, ...]
    candidate_digest: str
    champion_digest: str | None
    policy_digest: str
    datasets: dict[str, str] = Field(default={})
    predictions: dict[str, str] = Field(default={})
    evaluate_digest: str = ""
    alpha: float | None = None
    spent: dict[str, float] = Field(default={})


Fixed = Literal["FIXED", "IMPROVED", "NOT_FIXED"]


class Repair(Value):
    """The champion before and after on the held-back rows of the window.

    ``reference`` is the new champion's value on the test set: what the window is to come near to.
    """

    verdict: Fixed
    reason: str
    axis: str
    n: int
    before: float | None
    after: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    reference: float | None = None
