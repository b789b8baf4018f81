"""A process that runs trials: ``python -P -m flows.tuning_worker ROOT STUDY RUN INDEX``.

Whoever starts it holds the workspace, and ends it when the search ends.
"""

from __future__ import annotations

import sys
from pathlib import Path

from flows.pipeline import announcing, call_directly, say
from flows.prepare_data import read_datasets
from flows.tuning import run_trials
from flows.workspace import Workspace
from pipeline_steps.errors import HoldfastError


def main() -> int:
    """Return the exit code after the trials that are left to this worker."""
    root, name, run_id, index = sys.argv[1:]
    try:
        workspace = Workspace.open(Path(root))
        datasets = read_datasets(workspace.root)
        call = announcing(call_directly, say)
        run_trials(workspace, datasets, name, run_id, int(index), call)
    except HoldfastError as error:
        say(f"holdfast: {error}")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
