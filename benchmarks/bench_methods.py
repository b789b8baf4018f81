"""What each way of fine-tuning costs and brings: clean, noisy and shifted accuracy over seeds.

For each dataset directory (``train``, ``valid`` and ``test`` .jsonl.gz with text and label, and
``shift_NAME`` files): one workspace by ``holdfast init`` and ``holdfast prepare``, its rows cut as
``methods.py`` says, with two teachers and the training rows that an attack on the first rewrote;
then for each method and seed a process of its own fine-tunes, predicts and scores. CPU seconds are
of one thread, training alone, without the teachers'. A result is kept in --work as it is obtained,
so the command can be stopped and started again; the table and ``benchmarks/results/methods.json``
are made of all that is there.

    python benchmarks/bench_methods.py --work DIR [--data DIR ...] [--methods NAME ...]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from child_process import run_measured
from method_world import prepared
from methods import ATTACKED, METHODS, OTHER_TEACHER, TEACHER, settings_of
from records import record, write_records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="keeps workspaces and results")
    parser.add_argument("--data", type=Path, nargs="*", default=[], help="dataset directories")
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--one", nargs=4, metavar=("WORKSPACE", "METHOD", "SEED", "RESULT"))
    options = parser.parse_args()
    if options.one:
        run_one(Path(options.one[0]), options.one[1], int(options.one[2]), Path(options.one[3]))
        return
    os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "HF_HUB_OFFLINE": "1"}
    for seed in options.seeds:
        for method in options.methods:
            for data in options.data:
                measure(options.work, data, method, seed)
    write_records("methods", show(options.work))


def measure(work: Path, data: Path, method: str, seed: int) -> None:
    """Run one method with one seed in a process of its own, unless that was done before."""
    result = work / "results" / f"{data.name}--{method.replace(' ', '_')}--{seed}.json"
    if result.exists():
        return
    workspace = prepared_apart(work, data)
    result.parent.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, __file__, "--work", str(work), "--one", str(workspace), method, str(seed),
        str(result),
    ]  # fmt: skip
    _, cost = run_measured(command)
    found = json.loads(result.read_text(encoding="utf-8"))
    result.write_text(json.dumps({**found, "peak_mib": cost.peak_mib}), encoding="utf-8")
    said = f"{data.name:10s} {method:20s} seed {seed}: {found['scores']} {found['cpu']:.0f} CPU s"
    print(said, flush=True)


def prepared_apart(work: Path, data: Path) -> Path:
    """Return the workspace, made by another process: a child begins at its parent's peak memory."""
    process = multiprocessing.get_context("spawn").Process(target=prepared, args=(work, data))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(process.exitcode)
    return work / data.name


def run_one(workspace: Path, method: str, seed: int, result: Path) -> None:
    """Fine-tune, predict and score; write what came of it."""
    from flows.prepare_data import read_datasets
    from flows.workspace import Workspace
    from pipeline_steps.evaluation.evaluate import evaluate
    from pipeline_steps.finetune_params import FinetuneParams
    from pipeline_steps.inference.predict import predict_all
    from pipeline_steps.training.finetune import finetune

    opened = Workspace.open(workspace)
    datasets = read_datasets(workspace)
    settings = placed(settings_of(workspace.name, method), workspace)
    params = FinetuneParams.model_validate({"seed": seed, **settings})
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        started = time.process_time()
        checkpoint = finetune(
            datasets.train, datasets.valid, params, root / "checkpoint", work=root / "work",
        )  # fmt: skip
        cpu = time.process_time() - started
        jobs = [(suite, root / f"{suite.name}.parquet") for suite in datasets.judged]
        predict = opened.params.predict.model_copy(update={"precision": "auto"})
        reports = [
            evaluate(p, opened.params.evaluate) for p in predict_all(checkpoint, jobs, predict)
        ]
    scores = {r.suite: round(value_of(r), 5) for r in reports}
    kept = {k: checkpoint.training[k] for k in ("n_trainable", "n_parameters", "steps")}
    result.write_text(json.dumps({"scores": scores, "cpu": cpu, **kept}), encoding="utf-8")


def value_of(report: Any) -> float:
    return float(report.metric("accuracy").value)


def placed(settings: Any, workspace: Path) -> Any:
    """Return settings with the paths of the workspace's teachers and attacked rows in them."""
    if isinstance(settings, dict):
        return {key: placed(value, workspace) for key, value in settings.items()}
    if isinstance(settings, list):
        return [placed(value, workspace) for value in settings]
    ours = settings in (TEACHER, OTHER_TEACHER, ATTACKED)
    return str(workspace / "made" / settings) if ours else settings


def show(work: Path) -> list[dict[str, Any]]:
    """Print a table for each dataset, and return its records."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted((work / "results").glob("*.json")):
        dataset, method, _ = path.stem.split("--")
        result = json.loads(path.read_text(encoding="utf-8"))
        found[dataset][method.replace("_", " ")].append(result)
    records = []
    for dataset, methods in found.items():
        suites = list(next(iter(methods.values()))[0]["scores"])
        print(f"\n| {dataset} | " + " | ".join(suites) + " | CPU s | trained | MiB | seeds |")
        print("|---" * (len(suites) + 5) + "|")
        for method in sorted(methods, key=lambda m: list(METHODS).index(m)):
            records += show_method(dataset, method, methods[method], suites)
    return records


def show_method(
    dataset: str, method: str, runs: list[dict[str, Any]], suites: list[str]
) -> list[dict[str, Any]]:
    """Print one line: means over seeds, with the standard deviation where there are several."""
    cells = []
    records = []
    for suite in suites:
        values = [run["scores"][suite] for run in runs]
        spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
        cells.append(f"{mean(values):.3f}{spread}")
        records.append(record(f"{dataset}/{method}/{suite}", mean(values), "share", n=len(runs)))
    cpu, trained = mean(run["cpu"] for run in runs), runs[0]["n_trainable"]
    peak = mean(run.get("peak_mib", 0.0) for run in runs)
    line = (
        f"| {method} | {' | '.join(cells)} | {cpu:.0f} | {trained:,} | {peak:.0f} | {len(runs)} |"
    )
    print(line)
    lower: dict[str, Any] = {"n": len(runs), "higher_is_better": False}
    return [
        *records,
        record(f"{dataset}/{method}/cpu", cpu, "CPU s", **lower),
        record(f"{dataset}/{method}/trained", trained, "weights", **lower),
        record(f"{dataset}/{method}/peak_memory", peak, "MiB", **lower),
    ]


if __name__ == "__main__":
    main()
