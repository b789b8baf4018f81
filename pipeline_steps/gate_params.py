"""The section ``gate`` of ``params.yaml``: a policy by name or file, and what overrides it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, FiniteFloat, ValidationInfo, model_validator

from pipeline_steps.section import Axis, Positive, Section, Share

_SHIPPED = Path(__file__).parent / "policies"
POLICIES = ("strict", "balanced", "refresh")


class GateParams(Section):
    """What a candidate must show before it may become champion.

    A key that is not given has the value of ``policy``. The defaults here are those of
    ``balanced``.
    """

    policy: str = "balanced"
    """strict, balanced, refresh, or a YAML file of the keys below; a key here overrides it."""
    first_version: Literal["floors", "refuse"] = "floors"
    """Without a champion: floors: they alone decide; refuse: a person names the first champion."""
    floors: dict[Axis, FiniteFloat] = Field(default={"test/accuracy": 0.5})
    """SUITE/METRIC: value that the candidate must reach."""
    superiority: tuple[Axis, ...] = ("test/headline",)
    """SUITE/METRIC in which the candidate must beat the champion; `headline`: the first metric."""
    non_inferiority: dict[Axis, FiniteFloat] = Field(default={})
    """SUITE/METRIC: margin by which the candidate may be worse than the champion there."""
    default_margin: Share = 0.03
    """Margin of every suite that non_inferiority does not name (its first metric, absolute)."""
    unsure_suites: tuple[str, ...] = ()
    """Suites, or patterns, that refuse only where they are shown to be worse, however small."""
    calibration_margin: Share | None = 0.05
    """Margin of the calibration error (ece) on clean rows; null: not asked."""
    out_of_scope_margin: Share | None = 0.05
    """Margin of the AUROC of every suite out of scope; null: not asked."""
    slice_margin: Share | None = None
    """Margin of every slice; null: a slice only refuses where it is shown to be worse."""
    min_slice_rows: Positive = 50
    """Rows; a smaller slice is not asked about."""
    max_negative_flips: Share | None = None
    """Share of clean rows that only the champion may have right; null: any."""
    max_latency_ratio: float | None = Field(default=None, gt=0)
    """Latency of one row, candidate over champion; null: not measured."""
    max_size_ratio: float | None = Field(default=None, gt=0)
    """Bytes of the checkpoint, candidate over champion; null: any."""
    beyond_seeds: bool = False
    """Whether a gain counts only if it is larger than what another seed brings."""
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    """Significance level of gains, over all looks at one evaluation set together."""
    looks: Positive = 52
    """Candidates that one evaluation set is to judge; alpha is spent over them."""
    holm: bool = True
    """Whether harm must be shown over all axes together (Holm) or on one of them alone."""
    min_rows: Positive = 50
    """Rows of a suite; with fewer the gate is inconclusive."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in_the_policy(cls, values: Any, info: ValidationInfo) -> Any:
        return with_policy(values, info)


def with_policy(values: Any, info: ValidationInfo) -> Any:
    """Return the values of a section ``gate`` with those of its policy where it says nothing.

    The context of the validation may hold ``root``, which a relative path begins at.

    Raises
    ------
    ValueError
        If there is no such policy, or it is wrong.
    """
    if not isinstance(values, Mapping):
        return values
    name = values.get("policy", "balanced")
    if not isinstance(name, str) or not {*GateParams.model_fields} - {*values}:
        return values
    return {**policy_values(name, _root(info)), **values}


def policy_values(policy: str, root: Path = Path()) -> dict[str, Any]:
    """Return the keys that a policy sets.

    Parameters
    ----------
    policy : str
        The name of a shipped policy, or the path of a YAML file.
    root : Path
        What a relative path begins at.

    Raises
    ------
    ValueError
        If there is no such policy, or it is not a mapping of known keys.
    """
    path = _SHIPPED / f"{policy}.yaml" if policy in POLICIES else root / policy
    if not path.is_file():
        raise ValueError(f"there is no policy {policy!r}: a file, or one of {', '.join(POLICIES)}")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"the policy {policy} is not valid YAML: {error}") from error
    if not isinstance(values, dict) or "policy" in values:
        raise ValueError(f"the policy {policy} must be a mapping of the keys of gate but policy")
    unknown = {*values} - {*GateParams.model_fields}
    if unknown:
        raise ValueError(f"the policy {policy} has unknown keys: {', '.join(sorted(unknown))}")
    return values


def overridden(params: GateParams, root: Path = Path()) -> set[str]:
    """Return the keys whose values are not those of the policy."""
    plain = GateParams.model_validate({"policy": params.policy}, context={"root": root})
    names = GateParams.model_fields
    return {name for name in names if getattr(params, name) != getattr(plain, name)}


def _root(info: ValidationInfo) -> Path:
    context = info.context if isinstance(info.context, Mapping) else {}
    return Path(context.get("root", Path()))
