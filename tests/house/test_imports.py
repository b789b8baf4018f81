"""Nothing happens at import, and what must answer at once imports nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
HEAVY = (
    *("torch", "transformers", "peft", "datasets", "mlflow", "prefect", "great_expectations"),
    *("pandas", "sklearn", "scipy", "dvc", "evidently"),
)
LIGHT = (
    "flows.cli",
    "flows.pipeline",
    "flows.settings",
    "flows.workspace",
    "pipeline_steps.data_preparation",
    "pipeline_steps.evaluation",
    "pipeline_steps.inference",
    "pipeline_steps.params",
    "pipeline_steps.problems",
    "pipeline_steps.registry",
    "pipeline_steps.registry.gate",
    "pipeline_steps.reporting",
    "pipeline_steps.training",
    "pipeline_steps.types",
)
STEPS = sorted(
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
    for package in ("flows", "pipeline_steps")
    for path in (REPOSITORY / package).rglob("*.py")
    if path.name not in ("__init__.py", "__main__.py") and path.name != "served_model.py"
)

WITH_PREFECT = ("flows.deployments", "flows.orchestrated")


def python(code: str, directory: Path) -> str:
    return subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=directory,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_what_is_light_imports_nothing_heavy(tmp_path: Path) -> None:
    """`holdfast --help` answers at once only while this holds."""
    code = (
        "import importlib, json, sys\n"
        f"guilty = {{}}\nfor name in {LIGHT!r}:\n"
        "    importlib.import_module(name)\n"
        f"    guilty[name] = [m for m in {HEAVY!r} if m in sys.modules]\n"
        "print(json.dumps(guilty))"
    )
    guilty = json.loads(python(code, tmp_path))
    assert {name: modules for name, modules in guilty.items() if modules} == {}


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import json, sys\nfrom flows.cli import main\nsys.argv = ['holdfast', '--help']\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code\n"
        f"print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    )
    assert json.loads(python(code, tmp_path).splitlines()[-1]) == []


@pytest.mark.slow
def test_importing_every_module_changes_nothing(tmp_path: Path) -> None:
    """No directory, no seed, no tracking address, no thread count is set by an import.

    Prefect's own import draws random numbers, so it comes between what may not import it and what
    may.
    """
    others = [name for name in STEPS if name not in WITH_PREFECT]
    code = (
        "import importlib, json, os, random\n"
        "before, seed, drawing = dict(os.environ), random.getstate(), []\n"
        "def load(names):\n"
        "    for name in names:\n"
        "        random.setstate(seed)\n"
        "        importlib.import_module(name)\n"
        "        if random.getstate() != seed:\n            drawing.append(name)\n"
        f"load({others!r})\nimport prefect.deployments.runner\nload({WITH_PREFECT!r})\n"
        "changed = {k for k in set(before) | set(os.environ)\n"
        "           if before.get(k) != os.environ.get(k)}\n"
        "print(json.dumps([sorted(changed), drawing]))"
    )
    changed, drawing = json.loads(python(code, tmp_path).splitlines()[-1])
    assert drawing == []
    assert [name for name in changed if name.startswith(("HOLDFAST_", "OMP_", "MLFLOW_"))] == []
    assert list(tmp_path.iterdir()) == []
