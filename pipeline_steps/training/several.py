"""Several seeds one after another, and one checkpoint out of them; finished seeds are kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline_steps.files import write_text_atomically
from pipeline_steps.inference.checkpoint import META, write_checkpoint
from pipeline_steps.inference.tokenization import load_tokenizer, save_tokenizer
from pipeline_steps.problem_defaults import HEADLINES
from pipeline_steps.training import processes
from pipeline_steps.training.combining import goodness, soup_of
from pipeline_steps.training.inputs import Inputs
from pipeline_steps.training.result import describer, returned_towards_base
from pipeline_steps.training.runs import Run, baseline_score, has_failed, spread
from pipeline_steps.training.soup import Member
from pipeline_steps.training.trainer import StableTrainer
from pipeline_steps.training.watch import DivergedError
from pipeline_steps.types import Checkpoint

TrainOnce = Callable[[Inputs, Path, Path], Checkpoint]
_FAILED = "failed.json"


def train_several(
    inputs: Inputs,
    output: Path,
    work: Path,
    train_once: TrainOnce,
    scorer: Callable[[], StableTrainer],
) -> Checkpoint:
    """Return the checkpoint that ``finetune.combine`` makes of ``finetune.n_runs`` seeds.

    Parameters
    ----------
    inputs : Inputs
        The first seed is that of its parameters.
    output : Path
        Directory of the checkpoint.
    work : Path
        Directory of the runs; a finished one in it is not repeated.
    train_once : callable
        Trains one seed from inputs into an output, with a work directory.
    scorer : callable
        Returns a trainer that knows the rows; it is not trained.

    Raises
    ------
    DivergedError
        If no run came to an end.
    """
    runs = [_run(seeded, work, train_once) for seeded in _seeds(inputs)]
    scoring = scorer()
    return processes.led(lambda: _combined(inputs, output, runs, scoring))


def _combined(inputs: Inputs, output: Path, runs: list[Run], scoring: StableTrainer) -> Checkpoint:
    finished = [run for run in runs if run.checkpoint is not None]
    if not finished:
        raise DivergedError(
            f"all {len(runs)} runs diverged, the last one: {runs[-1].message}",
            expected="a run that comes to an end",
            fix="lower finetune.learning_rate, or set finetune.precision to fp32",
        )
    metric, baseline = HEADLINES[inputs.problem][0], baseline_score(scoring, inputs.problem)
    sound = [run for run in finished if not has_failed(run, metric, baseline)] or finished
    best = max(sound, key=lambda run: goodness(run.best_point() or {}, inputs.params))
    found = {"combine": inputs.params.combine, **spread(runs, metric, baseline)}
    if inputs.params.combine == "best" or len(sound) == 1:
        sound = [best]
    return _written(inputs, output, sound, best, found, scoring)


def _seeds(inputs: Inputs) -> list[Inputs]:
    """Return the inputs of each run; those of a soup start from the same random head."""
    params = inputs.params
    head_seed = None if params.combine == "best" else params.seed
    alone = {"n_runs": 1, "combine": "best", "wise_ft": None}
    return [
        replace(
            inputs,
            params=params.model_copy(update={**alone, "seed": params.seed + index}),
            head_seed=head_seed,
        )
        for index in range(params.n_runs)
    ]


def _run(inputs: Inputs, work: Path, train_once: TrainOnce) -> Run:
    seed = inputs.params.seed
    directory = work / f"seed-{seed}"
    if processes.led((directory / _FAILED).exists):
        return Run(seed, None, json.loads((directory / _FAILED).read_text(encoding="utf-8")))
    try:
        return Run(seed, train_once(inputs, directory / "checkpoint", directory / "work"))
    except DivergedError as error:
        received = error.received
        processes.led(lambda: _note_failure(directory, received))
        return Run(seed, None, received)


def _note_failure(directory: Path, received: str) -> None:
    shutil.rmtree(directory)
    directory.mkdir()
    write_text_atomically(directory / _FAILED, json.dumps(received))


def _written(
    inputs: Inputs,
    output: Path,
    chosen: list[Run],
    best: Run,
    found: dict[str, Any],
    scoring: StableTrainer,
) -> Checkpoint:
    """Return the checkpoint: the best run's own files, or new weights beside its description."""
    checkpoint = _checkpoint(best)
    labels, notes = checkpoint.labels, dict(checkpoint.training)
    if len(chosen) == 1 and inputs.params.wise_ft is None:
        found["chosen"] = [best.seed]

        def copy(directory: Path) -> None:
            ignored = shutil.ignore_patterns(META)
            shutil.copytree(checkpoint.path, directory, dirs_exist_ok=True, ignore=ignored)

        return write_checkpoint(output, copy, describer(inputs, labels, {**notes, "runs": found}))
    model: Any = scoring.problem.load(checkpoint.path)
    model.to(scoring.args.device)
    found["chosen"] = _mixed(model, chosen, inputs, scoring)
    notes |= {"runs": found, **returned_towards_base(model, inputs, labels, scoring.scores)}
    notes["validation"] = dict(scoring.scores(model))

    def save(directory: Path) -> None:
        model.save_pretrained(directory)
        save_tokenizer(load_tokenizer(checkpoint.path), directory)

    return write_checkpoint(output, save, describer(inputs, labels, notes))


def _mixed(model: Any, chosen: list[Run], inputs: Inputs, scoring: StableTrainer) -> list[int]:
    if len(chosen) == 1:
        return [chosen[0].seed]
    members = [_member(run, scoring) for run in chosen]
    names = soup_of(members, model, scoring.scores, inputs.params)
    return [run.seed for run in chosen if str(run.seed) in names]


def _member(run: Run, scoring: StableTrainer) -> Member:
    checkpoint = _checkpoint(run)
    state: Mapping[str, Any] = scoring.problem.load(checkpoint.path).state_dict()
    return Member(str(run.seed), checkpoint.labels, state)


def _checkpoint(run: Run) -> Checkpoint:
    if run.checkpoint is None:
        raise DivergedError(run.message, expected="a finished run", fix="train it again")
    return run.checkpoint
