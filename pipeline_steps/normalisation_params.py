"""The section ``finetune.normalisation``: what is done to a text before the tokenizer reads it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pipeline_steps.section import Section

_NotNegative = Annotated[float, Field(ge=0)]


class NormalisationParams(Section):
    """A function of texts that is made of the training rows and saved in the checkpoint."""

    confusables: bool = True
    """Letters that look like ASCII ones become those; needs the extra noise in training alone."""
    spelling: bool = True
    """Unknown words become the likeliest known word one slip away (Kernighan et al. 1990)."""
    base_weight: _NotNegative = 0.1
    """Weight of the words that the base model knows beside those of the training rows; 0: none."""
    absorption: _NotNegative = 0.0
    """A rare word stands for a neighbour so many times likelier (Jones et al. 2020); 0: never."""
