"""A process that does one shard: ``python -P -m flows.foreign.shard_worker DIR INDEX COUNT``."""

from __future__ import annotations

import sys
from pathlib import Path

from pipeline_steps.errors import HoldfastError
from pipeline_steps.files import write_text_atomically

JOB = "job.json"
REFUSAL = "refusal-{}.json"


def main() -> int:
    """Return the exit code after the parts of this shard."""
    from flows.foreign.work import Job, run_parts

    directory, index, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    job = Job.model_validate_json((directory / JOB).read_text(encoding="utf-8"))
    try:
        run_parts(job, job.of_shard(index, count), lambda _: None)
    except HoldfastError as error:
        write_text_atomically(directory / REFUSAL.format(index), error.to_json())
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
