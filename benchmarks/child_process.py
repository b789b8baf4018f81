"""Run a command and say what its whole process tree cost: robust to what else the machine does."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """Wall and CPU (user and system) seconds, and the peak resident MiB of its largest process."""

    wall: float
    cpu: float
    peak_mib: float


def run_measured(command: list[str]) -> tuple[str, Cost]:
    """Return what a command printed and what it and its children cost.

    Raises
    ------
    SystemExit
        If it fails, with what it wrote to standard error.
    """
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=output, stderr=errors)
        # wait4 counts the descendants that were waited for; subprocess.run would not say.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0), errors.seek(0)
        if process.returncode:
            raise SystemExit(f"{' '.join(command[:2])} failed:\n{errors.read()}")
        wall, cpu = time.perf_counter() - started, usage.ru_utime + usage.ru_stime
        # Kilobytes on Linux, bytes on macOS.
        peak = usage.ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
        return output.read(), Cost(wall, cpu, peak)
