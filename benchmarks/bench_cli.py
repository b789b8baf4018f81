"""CPU seconds of the commands that people type all day: they must answer at once.

Each is run several times as a process of its own; the smallest is reported, which is what the
command costs when the machine does nothing else. Writes ``benchmarks/results/cli.json``.

    python benchmarks/bench_cli.py [--repeats 7]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from records import record, write_records

HOLDFAST = str(Path(sys.executable).parent / "holdfast")
# Command -> CPU seconds that it may take.
COMMANDS = {
    ("--help",): 0.5,
    ("train", "--help"): 0.5,
    ("init", "--help"): 0.5,
    ("doctor",): None,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    records = []
    for arguments, target in COMMANDS.items():
        with tempfile.TemporaryDirectory() as elsewhere:
            seconds = min(cpu_seconds(arguments, Path(elsewhere)) for _ in range(repeats))
        name = " ".join(("holdfast", *arguments))
        print(f"{name:24s} {seconds:.3f} s CPU   target {target or '-'}")
        records.append(
            record(name, seconds, "s CPU", n=repeats, target=target, higher_is_better=False)
        )
    write_records("cli", records)


def cpu_seconds(arguments: tuple[str, ...], directory: Path) -> float:
    """Return user and system seconds of one run, its children included."""
    process = subprocess.Popen([HOLDFAST, *arguments], cwd=directory, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"holdfast {' '.join(arguments)} failed")
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
