"""A fine-tuning in a process of its own that is killed on its way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.types import DatasetRef

_KILLED_RUN = """
import os, signal, sys
from pathlib import Path
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.training import trainer
from pipeline_steps.training.finetune import finetune
from pipeline_steps.training.reading_trainer import ReadingTrainer
from pipeline_steps.types import DatasetRef
train, valid, params, root, stop, problem, reading = sys.argv[1:8]
kind = ReadingTrainer if reading else trainer.StableTrainer
step = kind.training_step
def killed(self, *args, **kwargs):
    if self.state.global_step == int(stop):
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, *args, **kwargs)
kind.training_step = killed
finetune(DatasetRef.model_validate_json(train), DatasetRef.model_validate_json(valid),
         FinetuneParams.model_validate_json(params), Path(root) / "out", work=Path(root) / "work",
         problem=problem)
"""


def kill_training(
    step: int,
    datasets: tuple[DatasetRef, DatasetRef],
    params: FinetuneParams,
    root: Path,
    *,
    problem: str = "text_classification",
    reading: bool = False,
) -> None:
    """Run fine-tuning in a process that is killed when it, or its pre-training, is at ``step``."""
    arguments = [d.model_dump_json() for d in datasets]
    arguments += [params.model_dump_json(), str(root), str(step), problem, "reading" * reading]
    done = subprocess.run(
        [sys.executable, "-c", _KILLED_RUN, *arguments], check=False, env=os.environ.copy()
    )
    assert done.returncode == -signal.SIGKILL
