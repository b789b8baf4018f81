"""The section ``serve`` of ``params.yaml``: limits, batches, what is kept of the traffic."""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from pipeline_steps.section import Positive, Section

# Repetitions are bounded: on a long text without a match the work stays proportional to it.
_EMAIL = r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+"
_CARD = r"(?<!\d)(?:\d[ -]?){12,18}\d(?!\d)"


class Redaction(Section):
    """What of a text is not kept, and what stands in its place."""

    pattern: str = Field(min_length=1)
    """A regular expression (Python's)."""
    replacement: str = "[redacted]"
    """Written literally, without blanks where words are counted."""

    @field_validator("pattern")
    @classmethod
    def _can_be_compiled(cls, pattern: str) -> str:
        try:
            found = re.compile(pattern).search("")
        except re.error as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
        if found is not None:
            raise ValueError(f"{pattern!r} matches an empty text")
        return pattern


class ServeParams(Section):
    """How the champion answers over HTTP."""

    batch_tokens: Positive = 1_024
    """Tokens in a batch, padding included; more is more throughput and more waiting."""
    max_wait_ms: float = Field(default=2.0, ge=0.0, le=1_000.0)
    """Milliseconds that a row waits for as much company as the last one had; a lone one: none."""
    threads: Positive | None = None
    """Threads that a worker scores with; null: its share of the cores less one, for the HTTP."""
    precision: Literal["auto", "fp32", "bf16", "int8"] = "fp32"
    """fp32 answers as the evaluation; auto: the fastest that changes nothing on 100 to 500 rows."""
    queue_rows: Positive = 512
    """Rows that may wait, for a worker and for the log, at least max_rows; beyond it: 503."""
    max_rows: Positive = 64
    """Rows in one request; more is answered with 422."""
    max_characters: Positive = 20_000
    """Characters of one text; more is answered with 422."""
    max_body_bytes: Positive = 1_000_000
    """Bytes of one request; more is answered with 413."""
    answer_seconds: float = Field(default=120.0, gt=0.0, le=86_400.0)
    """Seconds that a request waits for its answer, after which 503 is answered."""
    rows_per_minute: Positive | None = None
    """Rows, and as many labels, from one client address; beyond it: 429; null: no limit."""
    poll_seconds: float = Field(default=5.0, gt=0.0, le=3_600.0)
    """Seconds between two looks at who is champion."""
    shadow: bool = False
    """Let the challenger answer too, after the champion and into a log of its own."""
    label_queue: bool = False
    """Answer /labels and its page: logged texts, to whoever can reach the service."""
    redact: tuple[Redaction, ...] = (
        Redaction(pattern=_EMAIL, replacement="[email]"),
        Redaction(pattern=_CARD, replacement="[card]"),
    )
    """What the traffic log does not keep of inputs and answers; the model reads the whole."""
    retention_days: Positive | None = 90
    """Days after which the traffic log forgets a prediction; null: never."""

    @model_validator(mode="after")
    def _lets_every_request_wait(self) -> Self:
        if self.queue_rows < self.max_rows:
            raise ValueError(
                f"queue_rows is {self.queue_rows} and max_rows {self.max_rows}: a request of the "
                "most rows would never be let in; raise queue_rows or lower max_rows"
            )
        return self
