"""A help desk with logged traffic and a reference, which no model had to be trained for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml
from traffic_builders import answered, logged, reference

from flows.monitoring.windows import open_store
from flows.workspace import Workspace
from pipeline_steps.types import ModelVersion

VERSION = ModelVersion(
    name="m", version=1, mlflow_run_id="r", model_uri="models:/m/1", checkpoint_digest="c" * 64
)
TRAINING = reference()


def make_desk(root: Path, **sections: Any) -> Workspace:
    """Return a workspace whose parameters are the defaults but for some sections."""
    content: dict[str, Any] = {
        "ingest": {"sources": [{"path": "a.csv"}]}, "register": {"model_name": "m"},
        "monitor": {"rows_a_month": 1_000, "window_rows": 300, "evidently": "off"},
    }  # fmt: skip
    for name, values in sections.items():
        content[name] = {**content.get(name, {}), **values}
    (root / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return Workspace.open(root)


def log_rows(workspace: Workspace, n: int, *, foreign: float = 0.0, **how: Any) -> None:
    """Log rows that a made-up model has answered."""
    rows = answered(np.random.default_rng(how.get("first", 0)), n, foreign=foreign)
    open_store(workspace).log.append(logged(rows, **how))
