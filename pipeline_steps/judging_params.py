"""The sections of ``params.yaml`` that follow a training: predict, evaluate, gate, register."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

from pydantic import Field, field_validator

from pipeline_steps.gate_params import GateParams
from pipeline_steps.section import Positive, Section, Share

__all__ = ["AttackParams", "EvaluateParams", "GateParams", "PredictParams", "RegisterParams"]

TextSlice = Literal["length", "rare_words", "negation", "number", "question"]
SliceColumn = Literal[
    "domain", "group", "source", "timestamp", "year", "quarter", "month", "length", "rare_words",
    "negation", "number", "question",
]  # fmt: skip
_OTHER_KEYS = {"recipes", "seeds", "stop_early", "certify", "ball"}  # no matter of one run


class PredictParams(Section):
    """How a checkpoint is run over a dataset."""

    batch_tokens: Positive = 4_096
    """Tokens in a batch, padding included."""
    precision: Literal["auto", "fp32", "bf16"] = "fp32"
    """fp32 gives the same logits whatever the batch."""


class CertifyParams(Section):
    """How a bound that no edit of words breaks is found: texts with words left out, and a vote."""

    n_examples: Positive = 50
    """Rows of the test set, the first of those that are attacked."""
    deletion_rate: float = Field(default=0.9, gt=0.0, lt=1.0)
    """Probability that a word is left out; below about 0.7 nothing can be certified."""
    n_choosing: Positive = 20
    """Texts of a row that choose its label."""
    n_counting: Positive = 200
    """Further texts, which bound how often that label comes."""
    alpha: float = Field(default=0.001, gt=0.0, lt=0.5)
    """Probability that the bound of one row is wrong."""


class BallParams(Section):
    """How far word vectors are moved to see whether any point near a row breaks it."""

    n_examples: Positive = 100
    """Rows of the test set, the first of those that are attacked."""
    norm: Literal["l2", "linf"] = "l2"
    """l2: length of all moves of a row together; linf: of each number of them."""
    radii: tuple[float, ...] = Field(default=(0.1, 0.3, 1.0), min_length=1, max_length=5)
    """Of the balls, from the smallest, in units of the embeddings."""
    steps: Positive = 10
    """Steps uphill in each ball."""

    @field_validator("radii")
    @classmethod
    def _grow(cls, radii: tuple[float, ...]) -> tuple[float, ...]:
        if radii[0] <= 0 or any(a >= b for a, b in pairwise(radii)):
            raise ValueError(f"radii are {list(radii)}: give positive ones, each above the last")
        return radii


class AttackParams(Section):
    """What every candidate is attacked with, and how hard."""

    recipes: tuple[str, ...] = ()
    """Attacks on rows of the test set, each a suite of its own: see `holdfast attack --list`."""
    n_examples: Positive = 200
    """Rows of the test set, drawn by seed; all where there are fewer."""
    max_queries: Positive | None = None
    """Answers that an attack may ask for on one row; null: no limit."""
    max_words: Positive | None = None
    """Words that an attack may change in one row or put in; null: as many as its recipe does."""
    ranking: Literal["recipe", "gradient", "random"] = "recipe"
    """Which words are tried first: as the recipe says, by one backward pass, or in any order."""
    goal: Literal["wrong", "drift"] = "wrong"
    """wrong: away from the truth; drift: what is written shares few words with what was before."""
    bound: Share | None = None
    """Score of a row, or overlap, at and below which it is broken; null: the problem's own."""
    target: str | None = None
    """The label that rows of other labels are to get, one a row; null: any wrong one."""
    words: Literal["all", "context", "named"] | None = None
    """named: of entities, spans or the question alone; context: all others; null: what is usual."""
    synonyms_from: Literal["vectors", "wordnet"] = "vectors"
    """What knows other words: MiniLM's word vectors, or nltk's WordNet (where it is installed)."""
    scout: Literal["auto", "none", "bf16"] = "auto"
    """A cheaper copy of the model that searches; what it finds is confirmed in full precision."""
    seed: int = 0
    """Same seed, same rows and the same attack on each."""
    seeds: Positive = 1
    """Times that each attack is run, seed after seed; what any of them breaks is broken."""
    stop_early: bool = False
    """Attack no further rows once floor and margin of gate are decided, whichever way."""
    certify: CertifyParams | None = None
    """Also bound from below what any attack could do, by leaving words out; null: do not."""
    ball: BallParams | None = None
    """Also say what moves of the word vectors within a ball do; a bound, no text; null: do not."""

    @property
    def every_seed(self) -> range:
        """The seeds that each attack is run with."""
        return range(self.seed, self.seed + self.seeds)

    @property
    def of_one_run(self) -> dict[str, Any]:
        """What one run of one attack depends on, beside its name and its seed."""
        return self.model_dump(mode="json", exclude=_OTHER_KEYS)


class EvaluateParams(Section):
    """Metrics and their intervals."""

    confidence: float = Field(default=0.95, gt=0.5, lt=1.0)
    """Coverage of the intervals."""
    bootstrap_resamples: Positive = 1_000
    """Resamples behind each interval, and swaps behind each p-value that is not computed."""
    max_swaps: Positive = 10_000
    """Swaps behind a p-value that few of them tell; the finer it must be, the more it takes."""
    seed: int = 0
    """Same seed, same intervals."""
    calibration_bins: Positive = 15
    """Bins of the expected calibration error."""
    slice_columns: tuple[SliceColumn, ...] = ("domain", "group", "source")
    """Columns compared value by value; also year, quarter, month, and any of text_slices."""
    min_slice_rows: Positive = 20
    """Rows; a smaller slice is not reported."""
    max_slices: Positive = 30
    """Slices reported for a column, the largest first."""
    text_slices: tuple[TextSlice, ...] = (
        "length",
        "rare_words",
        "negation",
        "number",
        "question",
    )
    """Subpopulations that are read off the text; []: none."""
    frequent_words: Positive = 1_000
    """Words, the most frequent of train; all others are rare."""
    behaviour: str | None = None
    """File of behavioural tests in the workspace, such as data/behaviour.yaml; null: none."""


class RegisterParams(Section):
    """Where a checkpoint is registered."""

    model_name: str = Field(default="holdfast", pattern=r"^[A-Za-z0-9_-]+$")
    """Name of the registered model; versions count up under it."""
    experiment: str = "holdfast"
    """MLflow experiment of the runs."""
    licence: str | None = None
    """Licence of the model, for its card; null: not stated."""
    intended_use: str | None = None
    """What it is for and what not, in a sentence, for its card; null: not stated."""
    approval: Literal["none", "required", "four_eyes"] = "none"
    """required: what the gate lets pass waits for `holdfast approve`; four_eyes: of another."""
    approval_hours: float = Field(default=72.0, gt=0)
    """Hours after which a request without an answer is refused."""
