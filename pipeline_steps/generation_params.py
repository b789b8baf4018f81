"""The section ``finetune.generation``: how a model that writes is asked, and how it writes.

It is part of ``finetune`` because it is kept with the checkpoint: what is served is decoded as what
was judged.
"""

from __future__ import annotations

from pydantic import Field

from pipeline_steps.section import Positive, Section


class GenerationParams(Section):
    """How text is written; read by translation, summarisation and dialogue."""

    prefix: str = ""
    """Put before every text, such as "translate English to German: " for T5."""
    max_new_tokens: Positive = 128
    """Tokens of an answer; a longer one is cut, in training too."""
    num_beams: Positive = 1
    """Hypotheses that are followed at a time; 1 is greedy decoding."""
    length_penalty: float = 1.0
    """Exponent of the length that a hypothesis' log-probability is divided by (num_beams > 1)."""
    validation_rows: int = Field(default=100, ge=0)
    """Rows of valid that are decoded at each evaluation; the loss is that of all rows."""
