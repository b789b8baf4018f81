"""One of several processes of a training: ``torchrun ... -m pipeline_steps.training JOB``.

The job is a JSON file with the arguments of ``finetune``. A refusal is written beside it by the
process that leads.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from torch import distributed

from pipeline_steps.errors import HoldfastError
from pipeline_steps.files import write_text_atomically
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.training.processes import begin_together
from pipeline_steps.types import DatasetRef

REFUSAL = "refusal.json"


class Job(BaseModel):
    """The arguments of ``finetune``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    train: DatasetRef
    valid: DatasetRef
    params: FinetuneParams
    output: Path
    work: Path
    problem: str


def main() -> int:
    """Return the exit code of this process."""
    path = Path(sys.argv[1])
    job = Job.model_validate_json(path.read_text(encoding="utf-8"))
    begin_together()
    try:
        _run(job)
    except HoldfastError as error:
        if distributed.get_rank() == 0:
            write_text_atomically(path.with_name(REFUSAL), error.to_json())
        return error.exit_code
    finally:
        distributed.destroy_process_group()
    return 0


def _run(job: Job) -> None:
    from pipeline_steps.training.finetune import finetune

    finetune(job.train, job.valid, job.params, job.output, work=job.work, problem=job.problem)


if __name__ == "__main__":
    sys.exit(main())
