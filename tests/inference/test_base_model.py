"""What a directory must hold to be gone on from."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline_steps.errors import CheckpointError
from pipeline_steps.inference.base_model import resolve_base_model


def test_a_checkpoint_with_an_adapter_is_refused_for_what_it_is(tmp_path: Path) -> None:
    for name in ("plain/model.safetensors", "adapter/adapter.safetensors"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    with pytest.raises(CheckpointError, match=r"with an adapter[\s\S]*tuning\.kind full or lora"):
        resolve_base_model(str(tmp_path))
