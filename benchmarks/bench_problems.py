"""Entities, relations and answers through the whole flow, seed after seed, on real data.

For each of the datasets named: ``holdfast init`` once, then ``holdfast train`` with each seed of
fine-tuning in the same workspace, so that the data stages run once and every later seed is judged
beside the champion. Printed and written to ``benchmarks/results/problems.json``: each seed's score
on each suite with its interval over rows, and mean and standard deviation over the seeds. A result
is kept in --work as it is obtained, so the command can be stopped and started again.

    python benchmarks/bench_problems.py --work DIR --data FOLDER [--only NAME ...] [--seeds 0 1 2]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from bench_real_datasets import apply_settings
from child_process import run_measured
from records import record, write_records

WORLDS: dict[str, dict[str, Any]] = {
    "wnut17": {
        "problem": "ner", "metric": "entity_f1", "target": 0.35,
        "files": {"train": "train", "valid": "valid", "test": "test"},
        "suites": {"official_test": "shift_official_test"},
        "finetune": {"epochs": 8},
    },
    "semeval2010_task8": {
        "problem": "relation_extraction", "metric": "relation_f1", "target": 0.80,
        "files": {"train": "train", "valid": "valid", "test": "test"},
        "suites": {},
        "finetune": {"epochs": 5},
    },
    "squadshifts": {
        "problem": "question_answering", "metric": "f1", "target": 0.50,
        "files": {"train": "train", "valid": "valid", "test": "test"},
        "suites": {"addsent": "adv_addsent"},
        "finetune": {"epochs": 2, "learning_rate": 2e-4, "batch_tokens": 2048},
    },
    **{
        f"crossner/{domain}": {
            "problem": "ner", "metric": "entity_f1", "target": None,
            "files": {s: f"{domain}_{s}" for s in ("train", "valid", "test")},
            "suites": {},
            "finetune": {"epochs": 30, "learning_rate": 3e-4, "early_stopping_patience": None},
        }
        for domain in ("ai", "literature", "music", "politics", "science")
    },
}  # fmt: skip
"""Datasets: files by role, suites, the metric that decides, its target, changed settings."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="keeps workspaces and results")
    parser.add_argument("--data", type=Path, help="folder of the dataset directories")
    parser.add_argument("--only", nargs="*", default=list(WORLDS))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    options = parser.parse_args()
    if options.data is not None:
        for name in options.only:
            for seed in options.seeds:
                measure(options.work, options.data, name, seed)
    write_records("problems", show(options.work))


def measure(work: Path, data: Path, name: str, seed: int) -> None:
    """Run one seed through ``holdfast train``, unless that was done before."""
    result = work / "results" / f"{name.replace('/', '-')}--{seed}.json"
    if result.exists():
        return
    workspace = made_workspace(work, data, name)
    settings = WORLDS[name]["finetune"] | {"seed": seed}
    changed = [f"finetune.{key}={json.dumps(value)}" for key, value in settings.items()]
    apply_settings(workspace / "params.yaml", changed)
    printed, cost = run_measured([program(), "train", "-w", str(workspace), "--json"])
    trained = json.loads(printed)
    result.parent.mkdir(parents=True, exist_ok=True)
    kept = {"metrics": trained["metrics"], "verdict": trained["verdict"], "cpu": cost.cpu}
    result.write_text(json.dumps({**kept, "peak_mib": cost.peak_mib}), encoding="utf-8")
    told = {key: round(value["value"], 4) for key, value in trained["metrics"].items()}
    print(f"{name} seed {seed}: {trained['verdict']} {cost.cpu:.0f} CPU s {told}", flush=True)


def made_workspace(work: Path, data: Path, name: str) -> Path:
    """Return the workspace of a dataset; made once."""
    workspace = work / name.replace("/", "-")
    if (workspace / "params.yaml").exists():
        return workspace
    world, folder = WORLDS[name], data / name.split("/", maxsplit=1)[0]
    files = [f"--{role}={folder / f'{stem}.jsonl.gz'}" for role, stem in world["files"].items()]
    suites = [f"--suite={s}={folder / f'{stem}.jsonl.gz'}" for s, stem in world["suites"].items()]
    problem = f"--problem={world['problem']}"
    run_measured([program(), "init", str(workspace), problem, *files, *suites])
    return workspace


def program() -> str:
    return str(Path(sys.executable).parent / "holdfast")


def show(work: Path) -> list[dict[str, Any]]:
    """Print a line for each dataset and suite, and return their records."""
    records: list[dict[str, Any]] = []
    print("| Dataset | Suite | Rows | " + "Each seed, interval over rows | Mean ± SD of seeds |")
    print("|---|---|---|---|---|")
    for name, world in WORLDS.items():
        paths = sorted((work / "results").glob(f"{name.replace('/', '-')}--*.json"))
        runs = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
        for key in (k for k in (runs[0]["metrics"] if runs else {}) if decides(k, world)):
            records += show_line(name, key, [run["metrics"][key] for run in runs], world)
        if runs:
            cpu = mean(run["cpu"] for run in runs)
            records.append(record(f"{name}/cpu", cpu, "CPU s", n=len(runs), higher_is_better=False))
    return records


def decides(key: str, world: dict[str, Any]) -> bool:
    return bool(key.split("/", 1)[1] == world["metric"])


def show_line(
    name: str, key: str, found: list[dict[str, Any]], world: dict[str, Any]
) -> list[dict[str, Any]]:
    """Print one suite's scores over seeds, and return the record of their mean."""
    values = [metric["value"] for metric in found]
    suite = key.split("/", maxsplit=1)[0]
    each = "; ".join(f"{m['value']:.3f} [{m['ci_low']:.3f}, {m['ci_high']:.3f}]" for m in found)
    spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
    print(f"| {name} | {suite} | {found[0]['n']} | {each} | {mean(values):.3f}{spread} |")
    target = world["target"] if suite == "test" else None
    return [
        record(f"{name}/{suite}/{world['metric']}", mean(values), "share", n=len(values),
               target=target)
    ]  # fmt: skip


if __name__ == "__main__":
    main()
