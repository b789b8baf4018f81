"""A hermetic environment for every test: no network, no telemetry, no file in the user's home.

It is set when this file is imported, before any test module imports a library that reads it;
child processes of the tests inherit it.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

_HOME = Path(tempfile.mkdtemp(prefix="holdfast-tests-"))
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)

_ENVIRONMENT = {
    # Caches and settings of git, dvc, Prefect, Hugging Face, matplotlib: all below a fresh home.
    "HOME": str(_HOME),
    "XDG_CACHE_HOME": str(_HOME / ".cache"),
    "XDG_CONFIG_HOME": str(_HOME / ".config"),
    "XDG_DATA_HOME": str(_HOME / ".local/share"),
    "DVC_SITE_CACHE_DIR": str(_HOME / ".cache/dvc-site"),
    "HF_HOME": str(_HOME / ".cache/huggingface"),
    "MPLCONFIGDIR": str(_HOME / ".config/matplotlib"),
    "PREFECT_HOME": str(_HOME / ".prefect"),
    # No network.
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    # No telemetry.
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # A workspace that is put back has another database at the same address; MLflow keeps its
    # connections by address, and a kept one would go on with the file that was removed.
    "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",
    # Commits made by tests need an author.
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@example.org",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@example.org",
    "GIT_CONFIG_NOSYSTEM": "1",
    # Tests share the artifacts of a registry; a model that is loaded where it lies would be compiled
    # there, and the files of an artifact would depend on the order of the tests.
    "PYTHONDONTWRITEBYTECODE": "1",
    # Threads that spin while they wait make small models on a busy machine many times slower.
    "OMP_WAIT_POLICY": "passive",
    "TOKENIZERS_PARALLELISM": "false",
}
_FOREIGN = (
    *("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME"),
    *("PREFECT_API_URL", "PREFECT_PROFILE", "DVC_ROOT", "DVC_STAGE"),
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"),
)
_DATASETS = "HOLDFAST_DATASETS"

for _name in list(os.environ):
    if _name in _FOREIGN or (_name.startswith("HOLDFAST_") and _name != _DATASETS):
        del os.environ[_name]
os.environ.update(_ENVIRONMENT)
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell starts background jobs with Ctrl-C ignored, which the stages under test would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run: a green suite stays green until the code changes.
hypothesis.settings.register_profile(
    "house", deadline=None, derandomize=True, database=None, max_examples=50
)
hypothesis.settings.load_profile("house")


@pytest.fixture(scope="session")
def external_datasets() -> Path:
    """Return the directory of public datasets that some tests read, or skip."""
    directory = os.environ.get(_DATASETS)
    if directory is None:
        pytest.skip(f"needs public datasets: set {_DATASETS} to a directory of them")
    return Path(directory)


@pytest.fixture(scope="session", autouse=True)
def _real_registry() -> Iterator[Any]:
    """Do once what registries take seconds for; yield the product's own ways."""
    import warm_registry

    yield warm_registry.install(starts=True)
    warm_registry.stop()


@pytest.fixture
def fresh_smoke_tests(_real_registry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let smoke tests start a process of their own, as users' do."""
    monkeypatch.setattr("pipeline_steps.registry.smoke_test._run", _real_registry.run)


@pytest.fixture(autouse=True)
def _no_registry_left_behind() -> Iterator[None]:
    """Forget the MLflow server that a test, or a fixture of several, has set for the process."""
    _forget_registry()
    yield
    _forget_registry()


def _forget_registry() -> None:
    names = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
    if "mlflow" in sys.modules and any(name in os.environ for name in names):
        mlflow: Any = sys.modules["mlflow"]
        mlflow.set_tracking_uri(None)
        mlflow.set_registry_uri(None)
    for name in names:
        os.environ.pop(name, None)
