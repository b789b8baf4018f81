"""The workspace in which ways of fine-tuning are compared: cut rows, teachers, attacked rows."""

from __future__ import annotations

import gzip
import json
import random
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from methods import ATTACKED, OTHER_TEACHER, OTHERWISE, SETTINGS, TEACHER, settings_of

if TYPE_CHECKING:
    from flows.prepare_data import Datasets
    from pipeline_steps.types import Checkpoint


def cut_settings(name: str) -> dict[str, Any]:
    """Return rows, epochs and shift files of a dataset."""
    return SETTINGS.get(name, OTHERWISE)


def prepared(work: Path, data: Path) -> Path:
    """Return the workspace of a dataset with all that its methods read; made once."""
    workspace = work / data.name
    if not (workspace / "made" / ATTACKED).exists():
        made_workspace(work, data, workspace)
        made_teachers(workspace)
    return workspace


def made_workspace(work: Path, data: Path, workspace: Path) -> None:
    """Make a workspace of cut files, and run its data stages."""
    settings = cut_settings(data.name)
    shift = [f"shift_{name}" for name in settings["shift"]]
    sizes = {"train": settings["train"], "valid": settings["valid"], "test": settings["judged"]}
    cut = {
        stem: cut_rows(data / f"{stem}.jsonl.gz", n, work / f"{data.name}-{stem}.jsonl.gz")
        for stem, n in (sizes | dict.fromkeys(shift, settings["judged"])).items()
    }
    files = [f"--{role}={cut[role]}" for role in sizes]
    suites = [f"--suite={stem.removeprefix('shift_')}={cut[stem]}" for stem in shift]
    program = str(Path(sys.executable).parent / "holdfast")
    subprocess.run([program, "init", str(workspace), *files, *suites], check=True)
    subprocess.run([program, "prepare", "-w", str(workspace)], check=True)


def cut_rows(source: Path, n: int, target: Path) -> Path:
    """Return a file with ``n`` rows, as many of each label as of any other, always the same."""
    by_label: dict[str, list[str]] = defaultdict(list)
    with gzip.open(source, "rt", encoding="utf-8") as lines:
        for line in lines:
            by_label[json.loads(line)["label"]].append(line)
    for lines_of_label in by_label.values():
        random.Random(0).shuffle(lines_of_label)
    share = max(1, n // len(by_label))
    chosen = [line for lines_of_label in by_label.values() for line in lines_of_label[:share]]
    target.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(target, "wt", encoding="utf-8") as out:
        out.writelines(chosen)
    return target


def made_teachers(workspace: Path) -> None:
    """Train two teachers, and attack the first on training rows; what is there is kept."""
    from flows.commands.attack import with_attacks
    from flows.prepare_data import read_datasets
    from flows.training_texts import attack_training_rows
    from flows.workspace import Workspace

    datasets = read_datasets(workspace)
    first = made_teacher(workspace, datasets, TEACHER, seed=100)
    made_teacher(workspace, datasets, OTHER_TEACHER, seed=101)
    asked = {"recipes": ("deepwordbug",), "n_examples": 200}
    attacking = with_attacks(Workspace.open(workspace), asked)
    attack_training_rows(attacking, datasets, first, workspace / "made" / ATTACKED)


def made_teacher(workspace: Path, datasets: Datasets, name: str, *, seed: int) -> Checkpoint:
    from pipeline_steps.finetune_params import FinetuneParams
    from pipeline_steps.training.finetune import finetune

    settings = settings_of(workspace.name, "full")
    longer = {**settings, "epochs": 2 * settings["epochs"], "seed": seed}
    params = FinetuneParams.model_validate(longer)
    directory = workspace / "made" / name
    with tempfile.TemporaryDirectory() as work:
        return finetune(datasets.train, datasets.valid, params, directory, work=Path(work))
