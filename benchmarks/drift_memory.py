"""What watching 10,000 rows adds to the memory of a process: our monitor, and Evidently's preset.

A process each, on Linux with glibc: the peak is set back once the rows and the reference are there, so what
is added counts the side's own imports too. Run by ``bench_drift.py``.

    python benchmarks/drift_memory.py DATA WORK NAME SIDE
"""

from __future__ import annotations

import ctypes
import gc
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from child_process import run_measured
from drift_speed import WINDOW, frame_of, policies, preset_flags, sides, window_of
from drift_streams import world
from records import record

from pipeline_steps.monitoring.window import judge_window, start_watch

N_ROWS = 10_000
SIDES = ("ours", "ours_explained", "evidently")


def main() -> None:
    data, work, name, side = sys.argv[1:]
    warnings.simplefilter("ignore")
    watch(Path(data), Path(work), name, side)


def watch(data: Path, work: Path, name: str, side: str) -> None:
    """Judge 10,000 rows, drawn again where the data set has fewer, in windows of 500; print MiB."""
    reference, rows = sides(world(data, name, work))
    before = frame_of(rows(np.arange(2_000)))
    drawn = np.random.default_rng(0).integers(2_000, rows.n, N_ROWS)
    policy = policies().get(side)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # room that the loading left would hide what is added
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    held = resident("VmRSS")
    state = start_watch(reference, policy) if policy else None
    for i in range(N_ROWS // WINDOW):
        window = window_of(rows(drawn[i * WINDOW : (i + 1) * WINDOW]), i)
        if policy and state:
            judge_window(window, state, reference, reference, policy)
        else:
            preset_flags(frame_of(window.rows), before)
    print(resident("VmHWM") - held)


def resident(name: str) -> float:
    """Return MiB of this process by the kernel's name: ``VmRSS`` now, ``VmHWM`` at the peak."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split(f"{name}:")[1].split()[0]) / 1024


def memory(data: Path, work: Path, name: str) -> list[dict[str, Any]]:
    """Return the MiB that each side adds."""
    found = []
    for side in SIDES:
        printed, _ = run_measured([sys.executable, __file__, str(data), str(work), name, side])
        added = float(printed.split()[-1])
        print(f"memory, {side}: {added:.0f} MiB", flush=True)
        found.append(
            record(f"memory_{side}", round(added, 1), "MiB added by 10,000 rows", n=N_ROWS)
        )
    return found


if __name__ == "__main__":
    main()
