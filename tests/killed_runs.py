"""Fine-tuning that is killed in the middle of its work, in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from pipeline_steps.params import FinetuneParams

_KILLED_RUN = """
import os, signal, sys
from pathlib import Path
from pipeline_steps.params import FinetuneParams
from pipeline_steps.training import trainer
from pipeline_steps.training.finetune import finetune
from pipeline_steps.types import DatasetRef
train, valid, params, root, stop = sys.argv[1:6]
step = trainer.StableTrainer.training_step
def killed(self, *args, **kwargs):
    if self.state.global_step == int(stop):
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, *args, **kwargs)
trainer.StableTrainer.training_step = killed
finetune(DatasetRef.model_validate_json(train), DatasetRef.model_validate_json(valid),
         FinetuneParams.model_validate_json(params), Path(root) / "out", work=Path(root) / "work")
"""


def kill_at(step: int, datasets, params: FinetuneParams, root: Path) -> None:
    """Run fine-tuning in a process that is killed when it reaches ``step``."""
    arguments = [d.model_dump_json() for d in datasets]
    arguments += [params.model_dump_json(), str(root), str(step)]
    done = subprocess.run(
        [sys.executable, "-c", _KILLED_RUN, *arguments], check=False, env=os.environ.copy()
    )
    assert done.returncode == -signal.SIGKILL
