"""The repository's layout: what is packaged, whose name `mlflow` is, what the tree claims."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_mlflow_folder_holds_no_python() -> None:
    """A package of that name at the root would be imported instead of the library."""
    assert list((REPOSITORY / "mlflow").rglob("*.py")) == []


def test_the_imported_mlflow_is_the_library() -> None:
    import mlflow

    assert hasattr(mlflow, "set_tracking_uri")
    assert REPOSITORY / "mlflow" not in Path(mlflow.__file__).parents


def test_every_package_is_in_the_wheel_and_nothing_else() -> None:
    """Packages are named one by one: discovery would ship data/ and overwrite mlflow."""
    packages = {
        path.parent.relative_to(REPOSITORY).as_posix().replace("/", ".")
        for root in ("flows", "pipeline_steps")
        for path in (REPOSITORY / root).rglob("__init__.py")
    }
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == packages


def test_every_template_is_in_the_wheel() -> None:
    data = PROJECT["tool"]["setuptools"]["package-data"]
    for package, patterns in data.items():
        root = REPOSITORY / package.replace(".", "/")
        shipped = {path for pattern in patterns for path in root.glob(pattern)}
        present = {p for p in (root / "templates").rglob("*") if p.is_file()}
        assert present <= shipped


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_dependency_is_pinned() -> None:
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(
        re.fullmatch(r"[a-z0-9-]+==[^ +]+( ; python_version == \"3\.1[12]\")?", p) for p in pins
    )
    extras = PROJECT["project"]["optional-dependencies"].values()
    wanted = [*PROJECT["project"]["dependencies"], *(line for extra in extras for line in extra)]
    names = {normal(re.split(r"[\[<>=!~ ]", line)[0]) for line in wanted}
    assert names <= {pin.partition("==")[0] for pin in pins}


def test_continuous_integration_says_the_words_of_the_makefile() -> None:
    words = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    workflow = yaml.safe_load((REPOSITORY / ".github/workflows/ci.yml").read_text())
    steps = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    spoken = re.findall(
        r"\bmake ([a-z-]+)", "\n".join([*steps, (REPOSITORY / ".ci/run").read_text()])
    )
    assert {"install", "lint", "test", "demo"} <= set(spoken) <= words
    assert any(".ci/run" in step for step in steps)


def test_committed_text_names_no_place_of_one_machine() -> None:
    places = re.compile(r"(?<![\w.])/(home|root|work|Users)/\w+")
    suffixes = {".py", ".md", ".toml", ".yaml", ".yml", ".txt"}
    roots = ["flows", "pipeline_steps", "docs", "benchmarks", "examples", "mlflow", "data"]
    files = [p for r in roots for p in (REPOSITORY / r).rglob("*") if p.suffix in suffixes]
    found = {
        str(path.relative_to(REPOSITORY))
        for path in [*files, REPOSITORY / "README.md"]
        if places.search(path.read_text(encoding="utf-8"))
    }
    assert found == set()
