"""``params.yaml`` as frozen models: every field has a unit and a default, unknown keys are errors.

The sections are named as the steps. :func:`load_params` reports all mistakes at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, FiniteFloat, ValidationError, model_validator

from pipeline_steps.errors import ConfigurationError, counted
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.mistakes import explain_mistakes
from pipeline_steps.objective_mistakes import objective_mistakes
from pipeline_steps.problem_defaults import (
    HEADLINES,
    WRITING,
    column_mistakes,
    tuning_mistakes,
    with_defaults,
)
from pipeline_steps.search_params import TuneParams, space_mistakes
from pipeline_steps.section import Axis, Positive, Section, Share

Problem = Literal[
    "text_classification",
    "ner",
    "relation_extraction",
    "question_answering",
    "translation",
    "summarisation",
    "dialogue",
    "response_selection",
]


class ColumnsParams(Section):
    """Which column (or JSON field) of the raw file holds what; ``null``: there is none."""

    text: str | None = "text"
    """The text to classify, to translate or to summarise."""
    text_pair: str | None = None
    """A second text that is read together with the first."""
    label: str | None = "label"
    """The label; a row without one is set aside."""
    tokens: str | None = None
    """The words of a sentence: a list, or a text with blanks between them."""
    tags: str | None = None
    """A tag for each word: B-TYPE, I-TYPE or O."""
    head_span: str | None = None
    """Where the first of two related things stands in the text: [start, end] in characters."""
    tail_span: str | None = None
    """Where the second one stands."""
    context: str | None = None
    """The text in which the answer is looked for."""
    question: str | None = None
    """What is asked."""
    answers: str | None = None
    """A list of {text, start} with start in characters of the context; empty: no answer."""
    target: str | None = None
    """What is to be written: a text, or a list of which the first is learnt and all count."""
    messages: str | None = None
    """A conversation: a list of {role, content}; the last one, by the assistant, is the reply."""
    candidates: str | None = None
    """Replies to choose from: a list of texts."""
    right: str | None = None
    """Which of the candidates is right: its place, from 0, or its text."""
    id: str | None = None
    """The row's own identifier; without one, rows are named by file and line."""
    timestamp: str | None = None
    """When the row was written: ISO 8601, or (milli)seconds since 1970."""
    domain: str | None = None
    """Where the row comes from (a channel, a product): a slice of every report."""
    source: str | None = None
    """Who or what delivered the row: a slice of every report."""
    group: str | None = None
    """Rows of one group (a customer, a conversation) are never split apart."""


class SourceParams(Section):
    """One raw file or directory and the role of its rows."""

    path: str
    """Relative to the workspace; tracked with `dvc add`."""
    role: str = Field(default="auto", pattern=r"^(auto|train|valid|test|suite:[A-Za-z0-9_.-]+)$")
    """auto (the split stage decides), train, valid, test or suite:NAME."""
    format: Literal["csv", "tsv", "jsonl", "parquet", "conll", "hf_datasets"] | None = None
    """Guessed from the name where null."""
    domain: str | None = None
    """Domain of all rows of this file, where no column tells it."""


class IngestParams(Section):
    """Raw files to one file of examples."""

    sources: tuple[SourceParams, ...] = Field(min_length=1)
    """The raw files, in order."""
    columns: ColumnsParams = ColumnsParams()
    """Which column (or JSON field) holds what; null: there is none."""
    max_line_bytes: Positive = 1_000_000
    """Bytes; a longer line is set aside."""
    batch_rows: Positive = 50_000
    """Rows held in memory at a time."""


class ValidateParams(Section):
    """What a row, and the file as a whole, must look like."""

    min_characters: Positive = 1
    """Characters; a shorter text is set aside."""
    max_characters: Positive = 5_000
    """Characters; a longer text is set aside."""
    max_replacement_share: Share = 0.0
    """Largest share of U+FFFD (lost characters) in a text."""
    labels: tuple[str, ...] | None = None
    """The labels that may occur; null: whatever occurs."""
    min_rows: Positive = 20
    """Rows in the whole file; fewer block it."""
    min_rows_per_label: Positive = 2
    """Rows of each label; labels with fewer are reported as a warning."""
    max_quarantined_share: Share = 0.10
    """Share of rows; more set aside than this (repeats of a row apart) block the file."""
    selective_alpha: Share = 0.001
    """Significance at which quarantine counts as aimed at one label or group."""
    selective_min_excess: Share = 0.10
    """Share by which a label or group must exceed the rest to block the file."""
    selective_min_rows: Positive = 10
    """Rows from which a domain, source or group can block the file; a label always can."""
    batch_rows: Positive = 50_000
    """Rows held in memory at a time."""


class NearDuplicateParams(Section):
    """MinHash and locality-sensitive hashing over word shingles (Broder 1997)."""

    enabled: bool = True
    """Keep near-duplicates on one side of the split."""
    threshold: Share = 0.8
    """Jaccard similarity of shingles from which two texts are near-duplicates."""
    shingle_characters: Positive = 5
    """Characters in a shingle."""
    permutations: Positive = 128
    """Hash functions of MinHash; more are slower and more exact."""


class SplitParams(Section):
    """Shares and rules of the train, valid and test partitions of ``auto`` rows."""

    seed: int = 0
    """Same seed, same split."""
    valid_fraction: Share = 0.1
    """Share of auto rows for early stopping; 0 where a valid file is given."""
    test_fraction: Share = 0.2
    """Share of auto rows to judge on; 0 where a test file is given."""
    by_group: bool = True
    """Keep the rows of a group together."""
    shift_time_fraction: Share = 0.0
    """Share of the latest auto rows kept aside as suite shift_time."""
    shift_domains: tuple[str, ...] = ()
    """Domains kept aside whole, as suite shift_domain."""
    near_duplicates: NearDuplicateParams = NearDuplicateParams()
    """MinHash over character shingles (Broder 1997)."""


class NoiseParams(Section):
    """One noise suite made from the test rows."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    """The suite's name in every report."""
    kind: Literal["typos", "casing", "punctuation", "whitespace"] = "typos"
    """typos, casing, punctuation or whitespace."""
    rate: Share = 0.05
    """Share of words (or characters, as the kind has it) that are touched."""


class SuitesParams(Section):
    """The frozen suites that every version is judged on."""

    seed: int = 0
    """Same seed, same noise."""
    noise: tuple[NoiseParams, ...] = (NoiseParams(name="typos"),)
    """Noise suites made from the test rows."""


class PredictParams(Section):
    """How a checkpoint is run over a dataset."""

    batch_tokens: Positive = 4_096
    """Tokens in a batch, padding included."""
    precision: Literal["auto", "fp32", "bf16"] = "fp32"
    """fp32 gives the same logits whatever the batch."""


class EvaluateParams(Section):
    """Metrics and their intervals."""

    confidence: float = Field(default=0.95, gt=0.5, lt=1.0)
    """Coverage of the intervals."""
    bootstrap_resamples: Positive = 1_000
    """Resamples behind each interval."""
    seed: int = 0
    """Same seed, same intervals."""
    calibration_bins: Positive = 15
    """Bins of the expected calibration error."""
    slice_columns: tuple[str, ...] = ("domain", "group", "source")
    """Columns whose values are reported one by one."""
    min_slice_rows: Positive = 20
    """Rows; a smaller slice is not reported."""
    max_slices: Positive = 30
    """Slices reported for a column, the largest first."""


class GateParams(Section):
    """What a candidate must show before it may become champion."""

    floors: dict[Axis, FiniteFloat] = Field(default={"test/accuracy": 0.5})
    """SUITE/METRIC: value that the candidate must reach."""
    superiority: tuple[Axis, ...] = ("test/accuracy",)
    """SUITE/METRIC in which the candidate must beat the champion."""
    non_inferiority: dict[Axis, FiniteFloat] = Field(default={})
    """SUITE/METRIC: margin by which the candidate may be worse than the champion there."""
    default_margin: Share = 0.03
    """Margin of every suite that non_inferiority does not name (its first metric, absolute)."""
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    """Significance level of the comparisons."""
    min_rows: Positive = 50
    """Rows of a suite; with fewer the gate is inconclusive."""


class RegisterParams(Section):
    """Where a checkpoint is registered."""

    model_name: str = Field(default="holdfast", pattern=r"^[A-Za-z0-9_-]+$")
    """Name of the registered model; versions count up under it."""
    experiment: str = "holdfast"
    """MLflow experiment of the runs."""


class Params(Section):
    """The whole of ``params.yaml``."""

    problem: Problem = "text_classification"
    """What the model is for."""
    ingest: IngestParams
    """Raw files to one file of examples."""
    validate_: ValidateParams = Field(default=ValidateParams(), alias="validate")
    """What a row, and the file as a whole, must look like."""
    split: SplitParams = SplitParams()
    """Shares and rules of the train, valid and test partitions."""
    suites: SuitesParams = SuitesParams()
    """The frozen suites that every version is judged on."""
    finetune: FinetuneParams = FinetuneParams()
    """How a base model becomes a checkpoint."""
    tune: TuneParams = TuneParams()
    """How `holdfast tune` searches parameters of finetune."""
    predict: PredictParams = PredictParams()
    """How a checkpoint is run over a dataset."""
    evaluate: EvaluateParams = EvaluateParams()
    """Metrics and their intervals."""
    gate: GateParams = GateParams()
    """What a candidate must show before it may become champion."""
    register_: RegisterParams = Field(default=RegisterParams(), alias="register")
    """Where a checkpoint is registered."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in_what_the_problem_decides(cls, values: Any) -> Any:
        return with_defaults(values)

    @model_validator(mode="after")
    def _columns_and_metrics_are_those_of_the_problem(self) -> Params:
        mistakes = column_mistakes(self.problem, self.ingest.columns.model_dump())
        mistakes += tuning_mistakes(self.problem, self.finetune.tuning.kind)
        metric, known = self.finetune.early_stopping_metric, (*HEADLINES[self.problem], "loss")
        if metric not in known:
            mistakes.append(f"finetune.early_stopping_metric: {metric!r} is none of {known}")
        mistakes += objective_mistakes(self.problem, self.finetune) or space_mistakes(
            self.problem, self.finetune, self.tune.space
        )
        decoded = self.finetune.generation.validation_rows
        if self.problem in WRITING and metric != "loss" and not decoded:
            mistakes.append(f"finetune.generation.validation_rows is 0: there is no {metric}")
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self

    @model_validator(mode="after")
    def _fractions_leave_rows_to_train_on(self) -> Params:
        held_out = (
            self.split.valid_fraction + self.split.test_fraction + self.split.shift_time_fraction
        )
        if held_out >= 1.0:
            raise ValueError(
                f"split: valid, test and shift_time fractions add up to {held_out:.2f}; "
                "they must leave rows to train on (a sum below 1)"
            )
        return self


def load_params(path: Path) -> Params:
    """Return the parameters in the file ``path``.

    Raises
    ------
    ConfigurationError
        With every unknown key, wrong type and value out of range at once.
    """
    return parse_params(_read_yaml(path), source=str(path))


def parse_params(values: Any, *, source: str) -> Params:
    """Return the parameters in a mapping; ``source`` names it in errors."""
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        mistakes = [f"\n  - {mistake}" for mistake in explain_mistakes(error, Params)]
        raise ConfigurationError(
            f"{source} has {counted(len(mistakes), 'mistake')}:{''.join(mistakes)}",
            expected="the sections and keys that `holdfast init` writes with a comment each",
            fix=f"edit {source} as said above, then run the command again",
        ) from error


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"there is no {path}",
            expected="a workspace with a params.yaml",
            fix="change to a workspace, or make one: holdfast init DIR --train FILE",
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path} is not valid YAML: {error}",
            expected="YAML in UTF-8",
            fix=f"mend {path} at the place named above",
        ) from error
