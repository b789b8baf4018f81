"""What ``holdfast doctor`` looks at on the machine: Python, libraries, programs, the device."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from flows.commands.findings import Finding

_INSTALL = "make install (in a clone), or: pip install -c constraints.txt holdfast"
_EXTRAS = {
    "monitor": "drift reports",
    "noise": "misspellings, confusables and homophones",
    "postgres": "a shared ledger",
    "serve": "holdfast serve",
    "tune": "holdfast tune",
}


def python(_root: Path) -> Iterator[Finding]:
    """Say which Python runs."""
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    new_enough = sys.version_info[:2] >= (3, 11)
    yield Finding(
        name="Python",
        status="ok" if new_enough else "problem",
        found=found,
        fix=None if new_enough else "make install PYTHON=python3.11",
    )


def libraries(root: Path) -> Iterator[Finding]:
    """Name the libraries that are missing, or are not at the pinned version."""
    needed = _requirements(extra=None)
    missing = sorted(name for name in needed if _version(name) is None)
    if missing:
        yield Finding(
            name="libraries",
            status="problem",
            found=f"missing: {', '.join(missing)}",
            fix=_INSTALL,
        )
        return
    yield Finding(name="libraries", status="ok", found=f"all {len(needed)} are installed")
    pins = _pins(root)
    if not pins:
        return
    moved = [
        f"{name} {_version(name)} (pinned: {pins[name]})"
        for name in sorted(needed)
        if name in pins and (_version(name) or "").partition("+")[0] != pins[name]
    ]
    yield Finding(
        name="pinned versions",
        status="note" if moved else "ok",
        found=", ".join(moved) if moved else "as constraints.txt has them",
        fix="make install" if moved else None,
    )


def _requirements(extra: str | None) -> list[str]:
    """Return the distributions that holdfast needs, or those that one of its extras adds."""
    names = []
    for line in importlib.metadata.requires("holdfast") or []:
        requirement, _, marker = line.partition(";")
        of_extra = re.search(r"extra == ['\"](.+?)['\"]", marker)
        if (of_extra.group(1) if of_extra else None) == extra:
            names.append(re.split(r"[^A-Za-z0-9._-]", requirement.strip())[0])
    return [re.sub(r"[-_.]+", "-", name).lower() for name in names]


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _pins(root: Path) -> dict[str, str]:
    """Return the versions in the constraints file of the clone, empty where there is none."""
    clone = Path(__file__).resolve().parents[2]
    for file in (root / "constraints.txt", clone / "constraints.txt"):
        if file.exists():
            text = file.read_text(encoding="utf-8")
            return dict(re.findall(r"^([\w.-]+)==([\w.]+)$", text, flags=re.MULTILINE))
    return {}


def extras(_root: Path) -> Iterator[Finding]:
    """Name what each extra lacks."""
    for extra, purpose in _EXTRAS.items():
        missing = [name for name in _requirements(extra) if _version(name) is None]
        yield Finding(
            name=f"extra {extra}",
            status="note" if missing else "ok",
            found=f"for {purpose}; " + (f"missing: {', '.join(missing)}" if missing else "here"),
            fix=f"pip install -c constraints.txt 'holdfast[{extra}]'" if missing else None,
        )


def programs(_root: Path) -> Iterator[Finding]:
    """Look for git."""
    git = shutil.which("git")
    yield Finding(
        name="git",
        status="ok" if git else "note",
        found=git or "not found: results will not name the commit that they came from",
        fix=None if git else "install git from your system's packages",
    )


def device(_root: Path) -> Iterator[Finding]:
    """Say what will compute; torch is imported here and only here."""
    try:
        import torch
    except ImportError as error:
        yield Finding(
            name="device", status="problem", found=f"torch does not import: {error}", fix=_INSTALL
        )
        return
    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        found = f"CUDA: {torch.cuda.get_device_name(0)}, {memory:.0f} GiB"
    elif torch.backends.mps.is_available():
        found = "Apple GPU (MPS)"
    else:
        native = "native bf16" if _cpu_computes_bf16() else "no native bf16: fp32 is used"
        found = f"CPU, {torch.get_num_threads()} threads, {native}"
    yield Finding(name="device", status="ok", found=f"{found}; torch {torch.__version__}")


def _cpu_computes_bf16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return platform.machine() == "arm64"
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags)
