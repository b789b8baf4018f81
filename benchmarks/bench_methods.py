"""What each way of fine-tuning costs and brings: clean, noisy and shifted accuracy over seeds.

For each dataset directory (``train``, ``valid`` and ``test`` .jsonl.gz with text and label, and
``shift_NAME`` files named with --shift): one workspace by ``holdfast init`` and ``holdfast
prepare``, its train rows cut to --rows; then for each method and seed a process of its own
fine-tunes, predicts and scores. CPU seconds are of one thread, training alone. A result is kept in
--work as it is obtained, so the command can be stopped and started again; the table and
``benchmarks/results/methods.json`` are made of all that is there.

    python benchmarks/bench_methods.py --work DIR [--data DIR ...] [--methods NAME ...]
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from child_process import run_measured
from records import record, write_records

METHODS: dict[str, dict[str, Any]] = {
    "full": {},
    "full, lower rate": {"learning_rate": 5e-5},
    "head": {"tuning": {"kind": "head"}},
    "top 2 layers": {"tuning": {"kind": "top_layers"}},
    "bitfit": {"tuning": {"kind": "bitfit"}},
    "layer decay 0.8": {"layer_decay": 0.8},
    "lora": {"tuning": {"kind": "lora"}},
    "rslora": {"tuning": {"kind": "lora", "scaling": "sqrt_rank"}},
    "dora": {"tuning": {"kind": "lora", "decomposed": True}},
    "ia3": {"tuning": {"kind": "ia3"}},
    "houlsby": {"tuning": {"kind": "houlsby"}},
    "pfeiffer": {"tuning": {"kind": "pfeiffer"}},
    "prompt": {"tuning": {"kind": "prompt"}},
    "prefix": {"tuning": {"kind": "prefix"}},
    "adalora": {"tuning": {"kind": "adalora"}},
    "label smoothing 0.1": {"loss": {"label_smoothing": 0.1}},
    "focal": {"loss": {"kind": "focal"}},
    "fgm": {"objective": {"fgm": {}}},
    "pgd": {"objective": {"pgd": {}}},
    "freelb": {"objective": {"freelb": {}}},
    "smart": {"objective": {"smart": {}}},
    "rdrop": {"objective": {"rdrop": {}}},
    "contrastive": {"objective": {"contrastive": {}}},
    "l2sp": {"objective": {"l2sp": {}}, "weight_decay": 0.0},
    "augmentation": {"augmentation": {}},
    "ema": {"averaging": {"kind": "ema", "decay": 0.98}},
    "swa": {"averaging": {"kind": "swa"}},
    "wise-ft 0.7": {"wise_ft": {"alpha": 0.7}},
    "uniform soup of 3": {"n_runs": 3, "combine": "uniform_soup"},
    "pretraining": {"pretraining": {"kind": "mlm"}},
    "few-shot": {"few_shot": {}},
}
SETTINGS: dict[str, dict[str, Any]] = {
    "sst2": {"rows": 3000, "epochs": 3, "shift": ["dynasent_r1"]},
    "banking77": {"rows": 2310, "epochs": 10, "shift": []},
}
"""Rows, epochs and shift files by dataset; few enough for a laptop, the same for all methods."""
_OTHER = {"rows": 3000, "epochs": 3, "shift": []}


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
    workspace = prepared(work, data)
    result.parent.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, __file__, "--work", str(work), "--one", str(workspace), method, str(seed),
        str(result),
    ]  # fmt: skip
    os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "HF_HUB_OFFLINE": "1"}
    _, cost = run_measured(command)
    found = json.loads(result.read_text(encoding="utf-8"))
    result.write_text(json.dumps({**found, "peak_mib": cost.peak_mib}), encoding="utf-8")
    print(f"{data.name:10s} {method:20s} seed {seed}: {found['scores']} {found['cpu']:.0f} CPU s")


def prepared(work: Path, data: Path) -> Path:
    """Return the workspace of a dataset after its data stages have run; made once."""
    workspace = work / data.name
    if (workspace / "dvc.lock").exists():
        return workspace
    settings = SETTINGS.get(data.name, _OTHER)
    cut = cut_rows(data / "train.jsonl.gz", settings["rows"], work / f"{data.name}-train.jsonl.gz")
    files = [f"--train={cut}", *(f"--{s}={data / f'{s}.jsonl.gz'}" for s in ("valid", "test"))]
    suites = [f"--suite={name}={data / f'shift_{name}.jsonl.gz'}" for name in settings["shift"]]
    program = str(Path(sys.executable).parent / "holdfast")
    subprocess.run([program, "init", str(workspace), *files, *suites], check=True)
    subprocess.run([program, "prepare", "-w", str(workspace)], check=True)
    return workspace


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


def run_one(workspace: Path, method: str, seed: int, result: Path) -> None:
    """Fine-tune, predict and score; write what came of it."""
    import tempfile

    from flows.prepare_data import read_datasets
    from flows.workspace import Workspace
    from pipeline_steps.evaluation.evaluate import evaluate
    from pipeline_steps.finetune_params import FinetuneParams
    from pipeline_steps.inference.predict import predict_all
    from pipeline_steps.training.finetune import finetune

    opened = Workspace.open(workspace)
    datasets = read_datasets(workspace)
    epochs = SETTINGS.get(workspace.name, _OTHER)["epochs"]
    params = FinetuneParams.model_validate({"epochs": epochs, "seed": seed, **METHODS[method]})
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        started = time.process_time()
        checkpoint = finetune(
            datasets.train, datasets.valid, params, root / "checkpoint", work=root / "work",
        )  # fmt: skip
        cpu = time.process_time() - started
        jobs = [(suite, root / f"{suite.name}.parquet") for suite in datasets.judged]
        reports = [
            evaluate(p, opened.params.evaluate)
            for p in predict_all(checkpoint, jobs, opened.params.predict)
        ]
    scores = {r.suite: round(value_of(r), 5) for r in reports}
    kept = {k: checkpoint.training[k] for k in ("n_trainable", "n_parameters", "steps")}
    result.write_text(json.dumps({"scores": scores, "cpu": cpu, **kept}), encoding="utf-8")


def value_of(report: Any) -> float:
    found = report.metric("accuracy")
    return float(found.value)


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
