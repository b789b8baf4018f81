"""The section ``finetune.tuning``: which weights learn; one class for each kind."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from pipeline_steps.section import Positive, Section, Share

_Dropout = Annotated[float, Field(ge=0.0, lt=1.0)]
ALL_LINEAR = "all-linear"
"""What peft calls all linear layers but the head."""


def _names_or_the_word(value: Any) -> Any:
    """Return the value with peft's word as peft writes it, in which it takes any case."""
    if isinstance(value, str) and value.lower() == ALL_LINEAR:
        return ALL_LINEAR
    is_list = isinstance(value, list | tuple) and value and all(isinstance(n, str) for n in value)
    if value is None or is_list:
        return value
    raise ValueError(f"a list of names such as [query, value], the word {ALL_LINEAR}, or null")


_Targets = Annotated[
    tuple[str, ...] | Literal["all-linear"] | None, BeforeValidator(_names_or_the_word)
]


class FullTuning(Section):
    """All weights learn."""

    kind: Literal["full"] = "full"
    """full, head, top_layers, bitfit, lora, adalora, ia3, houlsby, pfeiffer, ...: see the docs."""
    freeze_embeddings: bool = False
    """Keep the embeddings as they came."""


class HeadTuning(Section):
    """The new head alone learns."""

    kind: Literal["head"]
    """The new head alone learns."""


class TopLayersTuning(Section):
    """The last layers, and what stands above them, learn."""

    kind: Literal["top_layers"]
    """The last layers, and what stands above them, learn."""
    n_layers: Positive = 2
    """Layers that learn; the model must have more."""


class BitFitTuning(Section):
    """Biases and head learn (Ben Zaken et al. 2022)."""

    kind: Literal["bitfit"]
    """Biases and head learn (Ben Zaken et al. 2022)."""


class LoraTuning(Section):
    """Low-rank adaptation (Hu et al. 2022), merged at the end."""

    kind: Literal["lora"]
    """Low-rank updates and the head learn (Hu et al. 2022); merged at the end."""
    rank: Positive = 16
    """Rank of the update of each matrix."""
    alpha: Positive = 32
    """Scale: the update is multiplied by alpha over what scaling says."""
    dropout: _Dropout = 0.0
    """Share of inputs dropped before the update, while training."""
    target_modules: _Targets = None
    """Last parts of the adapted matrices' names, or all-linear; null: attention's query, value."""
    scaling: Literal["rank", "sqrt_rank"] = "rank"
    """Divide alpha by the rank, or by its root (rsLoRA, Kalajdzievski 2023)."""
    decomposed: bool = False
    """Learn lengths apart from directions (DoRA, Liu et al. 2024)."""


class AdaLoraTuning(Section):
    """Low-rank adaptation whose ranks shrink to where they matter (Zhang et al. 2023)."""

    kind: Literal["adalora"]
    """Low-rank updates whose ranks shrink to where they matter (Zhang et al. 2023); merged."""
    initial_rank: Positive = 12
    """Rank of the update of each matrix at the start."""
    target_rank: Positive = 8
    """Mean rank at the end; at most initial_rank."""
    alpha: Positive = 32
    """Scale: the update is multiplied by alpha over the rank."""
    dropout: _Dropout = 0.0
    """Share of inputs dropped before the update, while training."""
    target_modules: _Targets = None
    """Last parts of the adapted matrices' names, or all-linear; null: attention's query, value."""
    warm_share: Share = 0.1
    """Share of the steps before the first rank is taken."""
    final_share: Share = 0.5
    """Share of the steps after the last rank is taken."""
    interval: Positive = 10
    """Steps from one taking to the next."""
    orthogonality: float = Field(default=0.1, ge=0.0)
    """Weight of the penalty that keeps the update's vectors orthonormal; 0.1 to 0.5."""


class QLoraTuning(Section):
    """Low-rank adaptation of a body in four bits (Dettmers et al. 2023), on a CUDA GPU."""

    kind: Literal["qlora"]
    """Low-rank updates over a body in four bits (Dettmers et al. 2023), on a CUDA GPU; merged."""
    rank: Positive = 16
    """Rank of the update of each matrix."""
    alpha: Positive = 32
    """Scale: the update is multiplied by alpha over what scaling says."""
    dropout: _Dropout = 0.0
    """Share of inputs dropped before the update, while training."""
    target_modules: _Targets = None
    """Last parts of the adapted matrices' names, or all-linear; null: attention's query, value."""
    scaling: Literal["rank", "sqrt_rank"] = "rank"
    """Divide alpha by the rank, or by its root (rsLoRA, Kalajdzievski 2023)."""


class Ia3Tuning(Section):
    """Factors on keys, values and inner features (Liu et al. 2022), merged at the end."""

    kind: Literal["ia3"]
    """Factors on keys, values and inner features, and the head, learn (Liu et al. 2022); merged."""


class HoulsbyTuning(Section):
    """Adapters after attention and feed-forward (Houlsby et al. 2019)."""

    kind: Literal["houlsby"]
    """Adapters after attention and feed-forward, norms, head learn (Houlsby et al. 2019)."""
    size: Positive = 64
    """Width of the bottleneck."""


class PfeifferTuning(Section):
    """Adapters after the feed-forward (Pfeiffer et al. 2021)."""

    kind: Literal["pfeiffer"]
    """Adapters after the feed-forward, and the head, learn (Pfeiffer et al. 2021)."""
    reduction: Positive = 16
    """Width of the model over that of the bottleneck."""


class PromptTuning(Section):
    """Vectors beside the token embeddings (Lester et al. 2021)."""

    kind: Literal["prompt"]
    """Vectors beside the token embeddings, and the head, learn (Lester et al. 2021)."""
    n_tokens: Positive = 20
    """Learnt vectors; they count towards the positions that the model has."""


class PrefixTuning(Section):
    """Keys and values of every layer (Li & Liang 2021)."""

    kind: Literal["prefix"]
    """Keys and values of every layer, and the head, learn (Li & Liang 2021)."""
    n_tokens: Positive = 20
    """Learnt positions in each layer; they count towards the positions that the model has."""


class InContextTuning(Section):
    """Nothing learns: a language model is asked, after a few examples (Brown et al. 2020)."""

    kind: Literal["in_context"]
    """Nothing learns: a language model scores the labels (Brown et al. 2020)."""
    shots: int = Field(default=0, ge=0)
    """Training rows of each label that are shown in the prompt; 0: zero-shot."""
    template: str = Field(default="{text}\nLabel: {label}", pattern=r"(?s)\{text\}.*\{label\}")
    """How a row is shown; a causal model is asked for what stands at {label}."""
    instruction: str = ""
    """Stands before everything else."""
    separator: str = "\n\n"
    """Stands between instruction, examples and the row that is asked for."""
    label_words: dict[str, str] | None = None
    """Label -> the words that stand for it; others are called by their names."""
    score: Literal["sum", "mean"] = "mean"
    """Of the log-likelihoods of a label's tokens."""
    calibrated: bool = True
    """Take off what a label scores without any text (Zhao et al. 2021)."""
    min_text_tokens: Positive = 16
    """Tokens that the prompt must leave for the text."""


TuningParams = Annotated[
    FullTuning
    | HeadTuning
    | TopLayersTuning
    | BitFitTuning
    | LoraTuning
    | AdaLoraTuning
    | QLoraTuning
    | Ia3Tuning
    | HoulsbyTuning
    | PfeifferTuning
    | PromptTuning
    | PrefixTuning
    | InContextTuning,
    Field(discriminator="kind"),
]
