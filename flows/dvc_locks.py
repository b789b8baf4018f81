"""DVC's record of who uses which path, mended where a killed process left it behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psutil

_RECORD = Path(".dvc/tmp/rwlock")


def remove_dead_locks(root: Path) -> None:
    """Remove the record if no living DVC process stands in it.

    DVC writes it in place, so a kill can tear it, and DVC believes a process number in it although
    it belongs to another program now (in a restarted container nearly always). Either would stop
    every later ``dvc repro``. Only for who holds the workspace.
    """
    record = root / _RECORD
    if record.exists() and not any(_is_dvc(pid) for pid in _holders(record)):
        record.unlink(missing_ok=True)


def _holders(record: Path) -> set[int]:
    """Return the process numbers in the record; none where it was torn."""
    try:
        content: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
        readers = [reader for entry in content.get("read", {}).values() for reader in entry]
        return {int(holder["pid"]) for holder in [*readers, *content.get("write", {}).values()]}
    except (ValueError, TypeError, KeyError, AttributeError):
        return set()


def _is_dvc(pid: int) -> bool:
    try:
        return any("dvc" in word for word in psutil.Process(pid).cmdline())
    except psutil.Error:
        return False
