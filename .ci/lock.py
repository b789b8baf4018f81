"""Writes constraints.txt: the exact version of every package that an install may bring.

Run by ``make lock``. Each Python of ``PYTHONS`` that is found resolves the project with all its
extras; nothing is installed. Versions stand as they are in the present file unless ``--upgrade``
is given, so that adding one dependency moves nothing else.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "constraints.txt"
PYTHONS = ("3.11", "3.12")
EXTRAS = "dev,monitor,noise,postgres,tune"
HEADER = """\
# Every package that an install of holdfast may bring (core; extras dev, monitor, noise, postgres,
# tune), at the version that the tests ran with, on Python 3.11 and 3.12. Written by `make lock`.
#   pip install -c constraints.txt -e '.[dev,monitor,noise,postgres,tune]'
# A constraint installs nothing by itself: the CUDA libraries below come only with the CUDA build
# of torch, which is what the registry gives; a CPU wheel of the same version is taken where pip
# finds one.
"""


def main() -> None:
    """Resolve with each Python found and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--upgrade", action="store_true", help="take the newest that resolves")
    upgrade = parser.parse_args().upgrade
    resolved = {version: resolve(version, upgrade=upgrade) for version in found_pythons()}
    text = HEADER + "".join(f"{line}\n" for line in constraint_lines(resolved))
    partial = LOCK.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(LOCK)
    sys.stdout.write(f"{LOCK.name}: {len(text.splitlines())} lines for {', '.join(resolved)}\n")


def found_pythons() -> tuple[str, ...]:
    """Return ``PYTHONS`` if all of them run here; half of them would write half a file."""
    missing = [f"python{version}" for version in PYTHONS if not runs(f"python{version}")]
    if missing:
        sys.exit(f"{' and '.join(missing)} not found: put both on the PATH, then: make lock")
    return PYTHONS


def runs(python: str) -> bool:
    """Return whether an interpreter is on the path and starts (a pyenv shim may do neither)."""
    if shutil.which(python) is None:
        return False
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


def resolve(version: str, *, upgrade: bool) -> dict[str, str]:
    """Return package -> version as pip resolves the project on one Python."""
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([f"python{version}", "-m", "venv", scratch], check=True)
        pip = [f"{scratch}/bin/python", "-m", "pip"]
        subprocess.run([*pip, "install", "--quiet", "--upgrade", "pip"], check=True)
        report = Path(scratch) / "report.json"
        keep = [] if upgrade or not LOCK.exists() else ["--constraint", str(LOCK)]
        what = ["--dry-run", "--ignore-installed", "--quiet", "--report", str(report)]
        subprocess.run([*pip, "install", *what, *keep, f"{ROOT}[{EXTRAS}]"], check=True)
        packages = json.loads(report.read_text(encoding="utf-8"))["install"]
    pins = {normal_name(p["metadata"]["name"]): p["metadata"]["version"] for p in packages}
    del pins["holdfast"]
    # "2.13.0+cpu" names one build; the constraint is on the version.
    return {name: version.partition("+")[0] for name, version in pins.items()}


def normal_name(name: str) -> str:
    """Return a distribution's name as the registry normalises it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def constraint_lines(resolved: dict[str, dict[str, str]]) -> list[str]:
    """Return one line a package, or one for each Python where their versions differ."""
    lines = []
    for name in sorted(set().union(*resolved.values())):
        versions = {python: pins[name] for python, pins in resolved.items() if name in pins}
        if len(set(versions.values())) == 1:
            lines.append(f"{name}=={next(iter(versions.values()))}")
        else:
            lines += [f'{name}=={v} ; python_version == "{p}"' for p, v in versions.items()]
    return lines


if __name__ == "__main__":
    main()
