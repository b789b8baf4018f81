"""A base model of every architecture."""

from __future__ import annotations

from pathlib import Path

import pytest
from tuned_models import ARCHITECTURES, save_base


@pytest.fixture(scope="session")
def bases(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("bases")
    return {name: save_base(root / name, name) for name in ARCHITECTURES}
