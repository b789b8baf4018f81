"""``params.yaml`` as frozen models: every field has a unit and a default, unknown keys are errors.

The sections are named as the steps. :func:`load_params` reports all mistakes at once.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, ValidationInfo, model_validator

from pipeline_steps.attack_mistakes import attack_mistakes
from pipeline_steps.data_params import IngestParams, SplitParams, SuitesParams, ValidateParams
from pipeline_steps.errors import ConfigurationError, counted
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.gate_params import with_policy
from pipeline_steps.judging_params import (
    AttackParams,
    EvaluateParams,
    GateParams,
    PredictParams,
    RegisterParams,
)
from pipeline_steps.mistakes import explain_mistakes
from pipeline_steps.monitoring_params import MonitorParams
from pipeline_steps.noise_mistakes import noise_mistakes
from pipeline_steps.objective_mistakes import objective_mistakes
from pipeline_steps.problem_defaults import (
    column_mistakes,
    tuning_mistakes,
    with_defaults,
)
from pipeline_steps.retrain_params import RetrainParams
from pipeline_steps.scoring_mistakes import scoring_mistakes
from pipeline_steps.search_params import TuneParams, space_mistakes
from pipeline_steps.section import Section
from pipeline_steps.serve_params import ServeParams

Problem = Literal[
    "text_classification",
    "multi_label_classification",
    "ner",
    "relation_extraction",
    "question_answering",
    "translation",
    "summarisation",
    "dialogue",
    "response_selection",
]


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
    attack: AttackParams = AttackParams()
    """What every candidate is attacked with, and how hard."""
    gate: GateParams = Field(default_factory=GateParams)
    """What a candidate must show before it may become champion."""
    register_: RegisterParams = Field(default=RegisterParams(), alias="register")
    """Where a checkpoint is registered."""
    monitor: MonitorParams = MonitorParams()
    """How traffic is watched, and what harm is tolerated."""
    retrain: RetrainParams = RetrainParams()
    """When the model is trained anew, on which rows, and what it may cost."""
    serve: ServeParams = ServeParams()
    """How the champion answers over HTTP, and what is kept of the traffic."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in_what_policy_and_problem_decide(cls, values: Any, info: ValidationInfo) -> Any:
        if isinstance(values, dict) and "gate" in values:
            with suppress(ValueError):  # said again, with its place, where the section is read
                values = {**values, "gate": with_policy(values["gate"], info)}
        return with_defaults(values)

    @model_validator(mode="after")
    def _columns_and_metrics_are_those_of_the_problem(self) -> Params:
        mistakes = column_mistakes(self.problem, self.ingest.columns.model_dump())
        mistakes += noise_mistakes(self.problem, self.suites)
        mistakes += attack_mistakes(
            self.problem,
            self.attack,
            self.gate,
            self.finetune.base_model,
            in_context=self.finetune.tuning.kind == "in_context",
        )
        mistakes += tuning_mistakes(self.problem, self.finetune.tuning.kind)
        mistakes += scoring_mistakes(self.problem, self.finetune)
        mistakes += objective_mistakes(self.problem, self.finetune) or space_mistakes(
            self.problem, self.finetune, self.tune.space
        )
        if self.gate.min_slice_rows < self.evaluate.min_slice_rows:
            mistakes.append(
                f"gate.min_slice_rows: {self.gate.min_slice_rows} is below "
                f"evaluate.min_slice_rows, {self.evaluate.min_slice_rows}, and smaller slices are "
                "not compared"
            )
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
    return parse_params(_read_yaml(path), source=str(path), root=path.parent)


def parse_params(values: Any, *, source: str, root: Path = Path()) -> Params:
    """Return the parameters in a mapping.

    ``source`` names it in errors; a policy file that ``gate`` names is looked for under ``root``.
    """
    try:
        return Params.model_validate(values, context={"root": root})
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
