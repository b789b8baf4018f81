"""Does the parts of a job: in this process, or in several that end with it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from flows.foreign.shard_worker import JOB, REFUSAL
from flows.foreign.work import Job, Progress, attack_part_path, run_parts
from flows.tethered import tethered
from pipeline_steps.errors import WorkerError, error_from_json
from pipeline_steps.files import write_text_atomically

if TYPE_CHECKING:
    import subprocess

_LOOK_EVERY = 0.1  # seconds
_SHOWN = 1_500
_SIGNALS_FROM = 192  # an exit status of 256 - signal is what a shell makes of a killed process


def run_job(job: Job, directory: Path, *, workers: int, progress: Progress) -> None:
    """Do all parts of a job, shared out among so many processes.

    Parameters
    ----------
    job : Job
        The parts; their outputs are files, and the same whatever ``workers`` is.
    directory : Path
        For the notes that processes leave to each other.
    workers : int
        Processes; 1 is this one. No more are started than there are parts.
    progress : callable
        Called with the number of parts that are done.

    Raises
    ------
    HoldfastError
        What a process refuses.
    WorkerError
        If a process was killed, naming its shard.
    """
    count = min(workers, len(job.parts))
    if count <= 1:
        run_parts(job, job.parts, progress)
        return
    write_text_atomically(directory / JOB, job.model_dump_json())
    with ExitStack() as stack:
        processes = [stack.enter_context(_started(directory, i, count)) for i in range(count)]
        while any(process.poll() is None for process in processes):
            _refuse_failed(job, directory, processes)
            progress(_done(job))
            time.sleep(_LOOK_EVERY)
        _refuse_failed(job, directory, processes)
    progress(_done(job))


@contextmanager
def _started(directory: Path, index: int, count: int) -> Iterator[subprocess.Popen[str]]:
    """Yield one worker, whose output goes to a file."""
    words = [str(directory), str(index), str(count)]
    with (
        _log(directory, index).open("w", encoding="utf-8") as output,
        tethered(
            [sys.executable, "-P", "-m", "flows.foreign.shard_worker", *words],
            cwd=directory,
            env=_environment(count),
            output=output,
        ) as process,
    ):
        yield process


def _environment(count: int) -> dict[str, str]:
    threads = max(1, (os.cpu_count() or 1) // count)
    ours = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
    return {**os.environ, **ours}


def _done(job: Job) -> int:
    """Return how many parts are finished; what is written last of each says so."""
    if job.attack is None:
        return sum(part.output.exists() for part in job.parts)
    return sum(attack_part_path(part, *job.attack_runs[-1]).exists() for part in job.parts)


def _refuse_failed(job: Job, directory: Path, processes: list[subprocess.Popen[str]]) -> None:
    for index, process in enumerate(processes):
        code = process.poll()
        if code in (None, 0):
            continue
        refusal = directory / REFUSAL.format(index)
        if refusal.exists():
            raise error_from_json(refusal.read_text(encoding="utf-8"))
        raise _ended(job, directory, index, len(processes), int(code or 0))


def _ended(job: Job, directory: Path, index: int, count: int, code: int) -> WorkerError:
    parts = job.of_shard(index, count)
    rows = ", ".join(f"{part.dataset.name} {part.start + 1}-{part.stop}" for part in parts[:3])
    signal = -code if code < 0 else 256 - code if code >= _SIGNALS_FROM else None
    how = f"was killed by signal {signal}" if signal else f"ended with exit status {code}"
    said = _log(directory, index).read_text(encoding="utf-8", errors="replace").strip()
    more = f":\n{said[-_SHOWN:]}" if said else ""
    return WorkerError(
        f"the worker of shard {index + 1} of {count} (rows {rows}, ...) {how}{more}",
        expected="every worker to do its parts",
        fix="if memory ran out, use fewer --workers; then run the command again",
    )


def _log(directory: Path, index: int) -> Path:
    return directory / f"shard-{index}.log"
