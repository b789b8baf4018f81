"""A fine-tuning by several processes of this machine, which end with the one that asked."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from flows.tethered import tethered
from pipeline_steps.errors import TrainingError, error_from_json
from pipeline_steps.files import write_text_atomically
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.types import Checkpoint, DatasetRef

_SHOWN = 3_000


def finetune_together(
    n_processes: int,
    train: DatasetRef,
    valid: DatasetRef,
    params: FinetuneParams,
    output: Path,
    *,
    work: Path,
    problem: str,
) -> Checkpoint:
    """Return the checkpoint that ``finetune`` makes with these arguments, by several processes.

    On a machine with GPUs each process has one of them; else they share the cores.

    Raises
    ------
    HoldfastError
        What the training refuses, or how it ended.
    """
    from pipeline_steps.inference.checkpoint import load_checkpoint
    from pipeline_steps.training.__main__ import REFUSAL, Job

    job = work.parent / f"{work.name}-job" / "job.json"
    refusal = job.with_name(REFUSAL)
    job.parent.mkdir(parents=True, exist_ok=True)
    refusal.unlink(missing_ok=True)
    content = Job(
        train=train, valid=valid, params=params, output=output, work=work, problem=problem
    )
    write_text_atomically(job, content.model_dump_json())
    launcher = ["torch.distributed.run", "--standalone", f"--nproc-per-node={n_processes}"]
    command = [sys.executable, "-P", "-m", *launcher, "-m", "pipeline_steps.training", str(job)]
    with tethered(command, cwd=work.parent, env=_environment(n_processes)) as process:
        said = process.communicate()[0]
    if process.returncode == 0:
        return load_checkpoint(output)
    if refusal.exists():
        raise error_from_json(refusal.read_text(encoding="utf-8"))
    raise TrainingError(
        f"{n_processes} processes ended with exit status {process.returncode}:\n{said[-_SHOWN:]}",
        expected="processes that train to the end",
        fix="mend what is said above, then run the same command again: it goes on from here",
    )


def _environment(n_processes: int) -> dict[str, str]:
    threads = max(1, (os.cpu_count() or 1) // n_processes)
    ours = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
    return {**os.environ, **ours}
