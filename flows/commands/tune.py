"""``holdfast tune``: a search for fine-tuning parameters, alone or with several workers."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from flows.base_needs import refuse_unfit_base
from flows.pipeline import Call, say
from flows.prepare_data import Datasets, prepare_data
from flows.tethered import tethered
from flows.tuning import (
    TuneResult,
    best_lines,
    open_study,
    refuse_unmeasurable,
    run_trials,
    start_search,
    study_name,
    summed_up,
)
from flows.tuning_trial import present_score
from flows.workspace import Workspace, locked
from pipeline_steps.errors import HoldfastError


def run_tune(
    workspace: Workspace, *, call: Call, n_workers: int = 1, apply: bool = False
) -> TuneResult:
    """Return the search of the workspace's space after its budget is used up.

    Killed at any point, the same command goes on. With ``apply`` the best values are written into
    ``params.yaml``, if they beat the present ones.
    """
    started = time.perf_counter()
    refuse_unfit_base(workspace.params)
    with locked(workspace):
        datasets = prepare_data(workspace, call=call)
        refuse_unmeasurable(workspace, datasets)
        name = study_name(workspace, datasets)
        present = call(present_score, workspace, datasets)
        run_id = start_search(workspace, datasets, name)
        _all_trials(workspace, datasets, name, run_id, n_workers, call)
        result = summed_up(workspace, open_study(workspace, name), name, run_id, present)
        if apply and improves(result):
            write_values(workspace.root / "params.yaml", result)
    return result.model_copy(update={"seconds": round(time.perf_counter() - started, 2)})


def improves(result: TuneResult) -> bool:
    """Return whether the best trial beats the present parameters."""
    return result.best is not None and (result.best.score or 0.0) > result.present


def write_values(path: Path, result: TuneResult) -> None:
    """Write the best values into ``params.yaml``; everything else there stays as it is."""
    from pipeline_steps.files import atomic_file

    yaml = _round_trip_yaml()
    content = yaml.load(path.read_text(encoding="utf-8"))
    for key, value in (result.best.values if result.best else {}).items():
        *sections, last = ("finetune", *key.split("."))
        inside = content
        for section in sections:
            inside = inside.setdefault(section, {})
        inside[last] = value
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        yaml.dump(content, file)


def describe(result: TuneResult, *, applied: bool = False) -> str:
    """Return the search in a few lines: the score to beat, the best trials, what to do next.

    ``applied``: the best values were to be written into ``params.yaml``.
    """
    counts = [sum(t.state == state for t in result.trials) for state in ("pruned", "fail")]
    done = f"{counts[0]} stopped early, {counts[1]} failed"
    lines = [
        f"{len(result.trials)} trials ({done}) in {result.seconds:.0f} s; study {result.study}",
        f"score on the valid rows ({result.metric}); present parameters: {result.present:.4f}",
        *best_lines(result.trials),
    ]
    if improves(result) and applied:
        advice = "params.yaml has the best values now: holdfast train finds their checkpoint"
    elif improves(result):
        advice = "holdfast tune --apply writes the best values into params.yaml"
    else:
        advice = "no trial beats the present parameters: leave them"
    return "\n".join([*lines, advice])


def _all_trials(
    workspace: Workspace, datasets: Datasets, name: str, run_id: str, n_workers: int, call: Call
) -> None:
    if n_workers == 1:
        run_trials(workspace, datasets, name, run_id, 0, call)
        return
    open_study(workspace, name)  # made once, before several would make it
    threads = max(1, (os.cpu_count() or 1) // n_workers)
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "passive",  # the workers share the cores
    }
    with ExitStack() as stack:
        workers = [
            stack.enter_context(
                tethered(
                    _worker_command(workspace, name, run_id, index),
                    cwd=workspace.root,
                    env=environment,
                )
            )
            for index in range(n_workers)
        ]
        _wait_for(workers)


def _wait_for(workers: list[Any]) -> None:
    outputs = [worker.communicate()[0] for worker in workers]
    for index, (worker, output) in enumerate(zip(workers, outputs, strict=True)):
        if worker.returncode != 0:
            raise HoldfastError(
                f"worker {index} ended with exit status {worker.returncode}:\n{output[-3000:]}",
                expected="workers that run until the budget is used up",
                fix="mend what it says, then run the same command again: it goes on from here",
            )
        say(output.rstrip())


def _worker_command(workspace: Workspace, name: str, run_id: str, index: int) -> list[str]:
    return [
        sys.executable, "-P", "-m", "flows.tuning_worker",
        str(workspace.root), name, run_id, str(index),
    ]  # fmt: skip


def _round_trip_yaml() -> Any:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml
