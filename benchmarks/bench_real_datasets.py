"""The main job on real datasets, next to a plain Trainer script: accuracy, seconds, memory.

For each directory with ``train``, ``valid`` and ``test`` (.jsonl.gz with text and label):
``holdfast init`` and ``holdfast train --json`` in a new workspace, then ``plain_trainer.py`` with
the same base model, epochs and body learning rate. Each side is a process of its own, one after
the other. CPU seconds are those of the whole process tree, which other work on the machine
disturbs little; ours include preparing, evaluating, gating and reporting, the plain script's only
training. Time to equal accuracy is what the plain script takes to reach ours less half a point,
stopped at that epoch as if it had known. Writes ``benchmarks/results/real_datasets.json``.

    python benchmarks/bench_real_datasets.py DIRECTORY [DIRECTORY ...] [--plain] [--best-stock]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from child_process import Cost, run_measured
from records import record, write_records

HERE = Path(__file__).parent
TARGETS = {"sst2": 0.891, "banking77": 0.925, "clinc150": 0.958}
NEAR = 0.005  # of the accuracy that the other side must reach


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="*", help="default: those in HOLDFAST_DATASETS")
    parser.add_argument("--set", action="append", default=[], help="finetune.KEY=VALUE")
    parser.add_argument("--plain", action="store_true", help="also run the plain Trainer")
    parser.add_argument("--best-stock", action="store_true", help="also its best stock setting")
    parser.add_argument("--plain-learning-rate", type=float, help="default: Holdfast's")
    parser.add_argument("--plain-epochs", type=int, help="default: Holdfast's")
    options = parser.parse_args()
    chosen = options.data or datasets_of_the_environment()
    if not chosen:
        print("skipped: name a dataset directory, or set HOLDFAST_DATASETS to a folder of them")
        return
    write_records("real_datasets", [r for data in chosen for r in measure(data, options)])


def datasets_of_the_environment() -> list[Path]:
    """Return the datasets of the table in docs/LOG.md that ``HOLDFAST_DATASETS`` holds."""
    folder = os.environ.get("HOLDFAST_DATASETS")
    return [] if folder is None else [p for name in TARGETS if (p := Path(folder) / name).is_dir()]


def measure(data: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the records of one dataset, and print its lines."""
    ours, cost, finetune = run_holdfast(data, options.set)
    accuracy, f1 = ours["metrics"]["test/accuracy"], ours["metrics"]["test/macro_f1"]
    print_line(data, "holdfast", f"{interval(accuracy)} F1 {interval(f1)} {ours['verdict']}", cost)
    peer = TARGETS.get(data.name)
    target = None if peer is None else peer - NEAR
    records = [
        record(
            f"{data.name}/accuracy", accuracy["value"], "share", peer=peer, target=target,
            n=accuracy["n"],
        ),
        record(f"{data.name}/macro_f1", f1["value"], "share", n=f1["n"]),
        *cost_records(f"{data.name}/holdfast", cost),
    ]  # fmt: skip
    epochs = options.plain_epochs or finetune.epochs
    rate = options.plain_learning_rate or finetune.learning_rate
    for stock in [False] * options.plain + [True] * options.best_stock:
        plain, plain_cost = run_plain(data, epochs, rate, stock=stock)
        records += beside(data, "best_stock" if stock else "plain", ours, cost, plain, plain_cost)
    return records


def beside(
    data: Path,
    side: str,
    ours: dict[str, Any],
    cost: Cost,
    plain: dict[str, Any],
    plain_cost: Cost,
) -> list[dict[str, Any]]:
    """Return the records of a plain Trainer run on the same data, and print its line."""
    accuracy = ours["metrics"]["test/accuracy"]
    reached = seconds_to_reach(accuracy["value"] - NEAR, plain["epochs"])
    equal = "not reached" if reached is None else f"reached after {reached:.0f} CPU s"
    curve = " ".join(f"{epoch['accuracy']:.4f}" for epoch in plain["epochs"])
    print_line(data, side, f"{curve}; {equal}", plain_cost)
    name = f"{data.name}/{side}"
    n = accuracy["n"]
    records = [
        record(f"{name}/accuracy", plain["accuracy"], "share", n=n),
        record(f"{name}/macro_f1", plain["macro_f1"], "share", n=n),
        *cost_records(name, plain_cost),
        record(f"{name}/cpu_over_holdfast", plain_cost.cpu / cost.cpu, "x", n=1),
        record(f"{name}/reached_equal_accuracy", float(reached is not None), "yes or no", n=n),
    ]
    if reached is not None:
        over = reached / cost.cpu
        records += [
            record(f"{name}/cpu_to_equal_accuracy", reached, "CPU s", n=1),
            record(f"{name}/cpu_to_equal_accuracy_over_holdfast", over, "x", n=1, target=1.0),
        ]
    return records


def seconds_to_reach(accuracy: float, epochs: list[dict[str, float]]) -> float | None:
    """Return the CPU seconds at the end of the first epoch with an accuracy, if there is one."""
    return next((e["cpu_so_far"] for e in epochs if e["accuracy"] >= accuracy), None)


def cost_records(name: str, cost: Cost) -> list[dict[str, Any]]:
    return [
        record(f"{name}/cpu", cost.cpu, "CPU s", n=1, higher_is_better=False),
        record(f"{name}/minutes", cost.wall / 60, "min", n=1, higher_is_better=False),
        record(f"{name}/peak_memory", cost.peak_mib, "MiB", n=1, higher_is_better=False),
    ]


def run_holdfast(data: Path, settings: list[str]) -> tuple[dict[str, Any], Cost, Any]:
    """Return the result of ``holdfast train``, its cost, and its settings of fine-tuning."""
    program = str(Path(sys.executable).parent / "holdfast")
    with tempfile.TemporaryDirectory() as directory:
        workspace = Path(directory) / data.name
        files = [f"--{split}={data / f'{split}.jsonl.gz'}" for split in ("train", "valid", "test")]
        run_measured([program, "init", str(workspace), *files])
        finetune = apply_settings(workspace / "params.yaml", settings)
        printed, cost = run_measured([program, "train", "-w", str(workspace), "--json"])
        for report in ("validated", "splits"):
            content = (workspace / "data" / report / "report.json").read_text(encoding="utf-8")
            print(f"{data.name:12s} {report}: {json.dumps(json.loads(content))}"[:1500], flush=True)
    return json.loads(printed), cost, finetune


def apply_settings(path: Path, settings: list[str]) -> Any:
    """Change ``finetune.KEY=VALUE`` in a params.yaml; return all settings of fine-tuning."""
    import yaml

    from pipeline_steps.finetune_params import FinetuneParams
    from pipeline_steps.training.arguments import learning_rates

    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    for setting in settings:
        name, value = setting.split("=", 1)
        section, key = name.split(".", 1)
        params[section][key] = yaml.safe_load(value)
    if settings:
        path.write_text(yaml.safe_dump(params), encoding="utf-8")
    finetune = FinetuneParams.model_validate(params["finetune"])
    return finetune.model_copy(update={"learning_rate": learning_rates(finetune)[0]})


def run_plain(data: Path, epochs: int, rate: float, *, stock: bool) -> tuple[dict[str, Any], Cost]:
    """Return what ``plain_trainer.py`` prints, and its cost less that of scoring."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, str(HERE / "plain_trainer.py"), str(data)]
        command += [f"--epochs={epochs}", f"--learning-rate={rate}", f"--output={directory}"]
        printed, cost = run_measured(command + ["--best-stock"] * stock)
    result = json.loads(printed.strip().splitlines()[-1])
    scoring = result["scoring"]
    return result, Cost(cost.wall - scoring["wall"], cost.cpu - scoring["cpu"], cost.peak_mib)


def print_line(data: Path, side: str, what: str, cost: Cost) -> None:
    print(
        f"{data.name:12s} {side:10s} {what}  {cost.cpu:.0f} CPU s  {cost.wall / 60:.1f} min  "
        f"{cost.peak_mib:.0f} MiB",
        flush=True,
    )


def interval(metric: dict[str, Any]) -> str:
    return f"{metric['value']:.4f} [{metric['ci_low']:.4f}, {metric['ci_high']:.4f}]"


if __name__ == "__main__":
    main()
