"""The sections of ``params.yaml`` that the data stages read: ingest, validate, split, suites."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from pipeline_steps.noise.catalog import SEVERITIES, KindName, rate_of
from pipeline_steps.section import Positive, Section, Share

_RATE = 0.05
REWRITING = {"entity_swap": "ner", "distractor": "question_answering"}
"""Kind of a rewritten suite -> the problem whose rows it rewrites."""
RESERVED_SUITES = ("train", "valid", "test", "behaviour", "calibration", "average", "shadow")
"""Names that no suite may have: they stand for a split, or for a report of another kind."""


def _as_levels(value: Any) -> Any:
    """Return one level, or all of them, as a list."""
    if value == "all":
        return SEVERITIES
    return (value,) if isinstance(value, int | float | str) else value


Severities = Annotated[
    tuple[Annotated[int, Field(ge=SEVERITIES[0], le=SEVERITIES[-1])], ...],
    BeforeValidator(_as_levels),
    Field(min_length=1),
]


class ColumnsParams(Section):
    """Which column (or JSON field) of the raw file holds what; ``null``: there is none."""

    text: str | None = "text"
    """The text to classify, to translate or to summarise."""
    text_pair: str | None = None
    """A second text that is read together with the first."""
    label: str | None = "label"
    """The label; a row without one is set aside."""
    labels: str | None = None
    """Any number of labels: a list, it as JSON, or a text with ; or | between them."""
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
    role: str = Field(
        default="auto",
        pattern=r"^(auto|train|valid|test|(suite|out_of_scope):[A-Za-z0-9_.-]+)$",
    )
    """auto (the split stage decides), train, valid, test, suite:NAME or out_of_scope:NAME."""
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
    shift_groups: tuple[str, ...] = ()
    """Groups (customers, authors, sites) kept aside whole, as suite shift_group."""
    near_duplicates: NearDuplicateParams = NearDuplicateParams()
    """MinHash over character shingles (Broder 1997)."""


class NoiseParams(Section):
    """One kind of noise, at one rate or at several severities: a suite each."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    """The suite's name in reports; by severity, NAME_1 to NAME_5."""
    kind: KindName = "typos"
    """typos, ocr, misspellings, homophones, ...: see docs/noise.md."""
    rate: Share | None = None
    """Share of what the kind can touch (letters, words) that is touched; null: by severity."""
    severity: Severities | None = None
    """1 to 5, a list of them or all: a suite for each, in place of rate."""

    @model_validator(mode="before")
    @classmethod
    def _rate_where_nothing_is_said(cls, values: Any) -> Any:
        if isinstance(values, dict) and not {"rate", "severity"} & values.keys():
            return {**values, "rate": _RATE}
        return values

    @model_validator(mode="after")
    def _either_rate_or_severity(self) -> NoiseParams:
        if (self.rate is None) == (self.severity is None):
            raise ValueError("give either a rate or a severity (1 to 5, a list of them, all)")
        if len(set(self.severity or ())) < len(self.severity or ()):
            raise ValueError("severity names a level twice")
        return self

    def rates(self) -> dict[str, float]:
        """Return the name of each suite and the rate of its noise."""
        if self.severity is None:
            return {self.name: self.rate or 0.0}
        return {f"{self.name}_{level}": rate_of(self.kind, level) for level in self.severity}


class RewrittenParams(Section):
    """Test rows that say something else, so that the right answer is known all the same."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    """The suite's name in reports."""
    kind: Literal["entity_swap", "distractor"]
    """entity_swap: other entities of the type; distractor: a sentence that is no answer."""
    rate: Share = 1.0
    """Share of the entities, or of the questions, that is touched."""


class SuitesParams(Section):
    """The frozen suites that every version is judged on."""

    seed: int = 0
    """Same seed, same noise."""
    noise: tuple[NoiseParams, ...] = (NoiseParams(name="typos"),)
    """Noise suites made from the test rows."""
    rewritten: tuple[RewrittenParams, ...] = ()
    """{name, kind: entity_swap or distractor}: test rows that say something else; []: none."""
