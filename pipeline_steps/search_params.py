"""The section ``tune`` of ``params.yaml``: which parameters are searched, and for what score."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Field, FiniteFloat, Tag, ValidationError, model_validator

from pipeline_steps.errors import ConfigurationError
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.mistakes import explain_mistakes
from pipeline_steps.objective_mistakes import objective_mistakes
from pipeline_steps.section import Positive, Section, Share


class Range(Section):
    """Numbers between two bounds, both included; whole ones where both bounds are whole."""

    low: int | FiniteFloat
    """The smallest value."""
    high: int | FiniteFloat
    """The largest value."""
    log: bool = False
    """Draw evenly on a logarithmic scale."""

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> Range:
        if self.low >= self.high or (self.log and self.low <= 0):
            raise ValueError("low must be below high, and positive where log is true")
        return self


def _kind(value: Any) -> str:
    return "choices" if isinstance(value, (list, tuple)) else "range"


Choices = Annotated[tuple[Any, ...], Field(min_length=2)]
Dimension = Annotated[
    Annotated[Range, Tag("range")] | Annotated[Choices, Tag("choices")], Discriminator(_kind)
]


class TuneParams(Section):
    """How fine-tuning parameters are searched."""

    n_trials: Positive = 20
    """Trainings in all, stopped and failed ones included; a larger number goes on later."""
    robust_weight: Share = 0.5
    """Share of the mean over noisy copies of the valid rows in the score; the rest is clean."""
    prune: bool = True
    """Stop a trial that is below the median of the earlier ones at the same evaluation."""
    seed: int = 0
    """Same seed, same trials, where they run one after another."""
    space: dict[str, Dimension] = Field(
        default={
            "learning_rate": Range(low=2e-5, high=5e-4, log=True),
            "layer_decay": (1.0, 0.9),
            "weight_decay": (0.01, 0.1),
        },
        min_length=1,
    )
    """Key below finetune: {low, high, log}, or a list of values."""


def with_values(finetune: FinetuneParams, values: Mapping[str, Any]) -> FinetuneParams:
    """Return the parameters with the values at dotted keys in place of their own.

    Raises
    ------
    ConfigurationError
        If a value is not allowed.
    """
    content = _replaced(finetune, values)
    try:
        return FinetuneParams.model_validate(content)
    except ValidationError as error:
        raise ConfigurationError(
            f"finetune with {dict(values)}: {'; '.join(explain_mistakes(error, FinetuneParams))}",
            expected="values that stand together in finetune",
            fix="correct tune.space in params.yaml",
        ) from error


def space_mistakes(
    problem: str, finetune: FinetuneParams, space: Mapping[str, Dimension]
) -> list[str]:
    """Return what is wrong with values of a search space, one line a mistake.

    Where nothing learns there is none to speak of: the space that is there by default is no wish.
    """
    if finetune.tuning.kind == "in_context":
        return []
    mistakes = []
    for key, dimension in space.items():
        for value in _extremes(dimension):
            try:
                tried = FinetuneParams.model_validate(_replaced(finetune, {key: value}))
                found = objective_mistakes(problem, tried)
            except ValidationError as error:
                found = [f"finetune.{m}" for m in explain_mistakes(error, FinetuneParams)]
            mistakes += [f"tune.space.{key}: {mistake}" for mistake in found]
    return list(dict.fromkeys(mistakes))


def _extremes(dimension: Any) -> Iterable[Any]:
    return (dimension.low, dimension.high) if isinstance(dimension, Range) else dimension


def _replaced(finetune: FinetuneParams, values: Mapping[str, Any]) -> dict[str, Any]:
    content = finetune.model_dump()
    for key, value in values.items():
        *sections, name = key.split(".")
        inside: Any = content
        for section in sections:
            if not isinstance(inside.get(section), dict):  # an unknown one is refused as such
                inside[section] = {}
            inside = inside[section]
        inside[name] = copy.deepcopy(value)
    return content
