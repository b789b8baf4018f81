"""Stages run as DVC runs them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import stage_command


@pytest.fixture
def run_stage(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs one stage in ``tmp_path`` as DVC would."""

    def run(stage: str, **settings: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            stage_command(stage), cwd=tmp_path, capture_output=True, text=True, check=False,
            env=os.environ.copy(), **settings,
        )  # fmt: skip

    return run
