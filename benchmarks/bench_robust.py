"""What the preset ``robust`` buys and costs, beside plain, LoRA and distilled models.

For each dataset directory (``train``, ``valid`` and ``test`` .jsonl.gz with text and label, all
``shift_NAME`` and ``adv_NAME`` files beside them): one workspace with every kind of noise at
severity 3; then for each version and seed a training, the suites and the attacks. Attacks run
against the whole model, its normaliser included, on the same rows. Each result is kept in --work as
it is obtained, so that the command can be stopped and started again; the table and
``benchmarks/results/robust.json`` are made of all that is there. Which normaliser is best is asked
on the valid rows, by ``choose_robust.py``. ``normalised`` is the plain version's weights behind the
normaliser of the preset, without any training: what the normaliser alone does.

    python benchmarks/bench_robust.py --work DIR --data DIR [--versions NAME ...] [--attacks NAME ...]
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from choose_robust import with_normaliser_before
from records import record, write_records
from robust_data import LETTERS, SEVERITY, WORDS, Rows, prepared

from pipeline_steps.evaluation.intervals import wilson_interval
from pipeline_steps.presets import PRESETS

ROBUST = PRESETS["robust"]["finetune"]
SLIPS = {"probability": 0.7, "edits": 0.3, "typos": 0.0, "word_loss": 0.05, "word_swap": 0.0}
VERSIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "lora": {"tuning": {"kind": "lora"}},
    "distilled": {"student_layers": [0, 2, 4], "objective": {"distillation": {}}},
    "adversarial": {"objective": {"fgm": {}}},
    "augmentation alone": {"augmentation": SLIPS},
    "normalised": {},
    "robust": ROBUST,
    "robust and augmentation": {**ROBUST, "augmentation": SLIPS},
}
SETTINGS: dict[str, dict[str, Any]] = {
    "sst2": {"learning_rate": 5e-5, "epochs": 4},
    "banking77": {"learning_rate": 3e-4, "epochs": 8},
    "clinc150": {"learning_rate": 3e-4, "epochs": 6},
    "twitter_sentiment_years": {"learning_rate": 5e-5, "epochs": 4},
}
SURENESS = {
    "ECE, scaled": "ece_scaled",
    "NLL": "nll",
    "Brier": "brier",
    "AURC": "aurc",
    "coverage at 5 % error": "coverage_at_5_error",
}
ATTACKS = ("deepwordbug", "textbugger", "pruthi", "known_defence")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="keeps workspaces and results")
    parser.add_argument("--data", type=Path, nargs="*", default=[], help="dataset directories")
    parser.add_argument("--versions", nargs="*", default=list(VERSIONS))
    parser.add_argument("--attacks", nargs="*", default=list(ATTACKS))
    parser.add_argument("--rows", type=int, default=200, help="rows that are attacked")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--epochs", type=int, help="others than the dataset's own")
    parser.add_argument("--plain", type=Path, help="a checkpoint trained as plain is: no training")
    parser.add_argument("--no-suites", action="store_true", help="train and attack alone")
    parser.add_argument("--noise", nargs="*", default=[*LETTERS, *WORDS], help="kinds of noise")
    for name in ("train", "test", "suite"):
        parser.add_argument(f"--{name}-rows", type=int, help="rows of a file; all where left out")
    options = parser.parse_args()
    for data in options.data:
        sizes = (options.train_rows, options.test_rows, options.suite_rows)
        rows = Rows(*sizes, tuple(options.noise))
        workspace = prepared(options.work, data, rows)
        for seed in options.seeds:
            for version in options.versions:
                measure(workspace, version, seed, options)
    write_records("robust", show(options.work))


def measure(workspace: Path, version: str, seed: int, options: argparse.Namespace) -> None:
    """Obtain what is missing of one version with one seed."""
    root = workspace / "robust" / f"{version.replace(' ', '_')}--{seed}"
    trained = kept(root / "training.json", lambda: made(workspace, version, seed, root, options))
    print(f"{workspace.name} {version} {seed}: {trained['cpu']} CPU s", flush=True)
    if not options.no_suites:
        kept(root / "suites.json", lambda: suites_of(workspace, root))
    for name in options.attacks:
        rows = options.rows
        found = kept(root / f"attack-{name}.json", lambda: attack(workspace, root, name, rows))  # noqa: B023
        print(f"  {name}: {found['accuracy']:.3f}, {found['queries']:.0f} queries", flush=True)


def kept(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what is in a file, or make it and write it there."""
    if not path.exists():
        found = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, indent=1), encoding="utf-8")
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result


def made(
    workspace: Path, version: str, seed: int, root: Path, options: argparse.Namespace
) -> dict[str, Any]:
    """Put the checkpoint of a version under ``root``, and return what that cost."""
    from flows.prepare_data import read_datasets
    from pipeline_steps.finetune_params import FinetuneParams
    from pipeline_steps.training.finetune import finetune

    datasets = read_datasets(workspace)
    asked = {**SETTINGS.get(workspace.name, {}), **VERSIONS[version], "seed": seed}
    asked |= {} if options.epochs is None else {"epochs": options.epochs}
    plain = workspace / "robust" / f"plain--{seed}" / "checkpoint"
    started = time.process_time()
    if version == "plain" and options.plain is not None:
        return taken(options.plain, asked, root / "checkpoint")
    if version == "lora":
        del asked["learning_rate"]  # that of the method
    if version == "distilled":
        asked["objective"] = {"distillation": {"teachers": [str(plain)]}}
    if version == "normalised":
        train, target = datasets.train.path, root / "checkpoint"
        checkpoint = with_normaliser_before(plain, ROBUST["normalisation"], train, target)
    else:
        params, work = FinetuneParams.model_validate(asked), root / "work"
        given = (datasets.train, datasets.valid, params, root / "checkpoint")
        checkpoint = finetune(*given, work=work)
    cpu = time.process_time() - started
    return {"cpu": cpu, "n_parameters": checkpoint.training["n_parameters"]}


def taken(weights: Path, asked: dict[str, Any], target: Path) -> dict[str, Any]:
    """Take a checkpoint that was trained elsewhere with the same values, and refuse another."""
    from pipeline_steps.inference.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(weights)
    others = {k: checkpoint.parameters.get(k) for k, v in asked.items()}
    if others != asked:
        raise SystemExit(f"{weights} was trained with {others}: expected {asked}")
    shutil.copytree(weights, target, dirs_exist_ok=True)
    return {"cpu": None, "n_parameters": checkpoint.training["n_parameters"]}


def suites_of(workspace: Path, root: Path) -> dict[str, Any]:
    """Return accuracy and calibration on every suite, AUROC where rows are out of scope."""
    from flows.prepare_data import read_datasets
    from pipeline_steps.evaluation.stress.suites import evaluate_all
    from pipeline_steps.inference.checkpoint import load_checkpoint
    from pipeline_steps.inference.predict import predict_all
    from pipeline_steps.judging_params import EvaluateParams, PredictParams

    datasets = read_datasets(workspace)
    checkpoint = load_checkpoint(root / "checkpoint")
    judged = [*datasets.judged, datasets.valid]
    jobs = [(suite, root / "predictions" / f"{suite.name}.parquet") for suite in judged]
    started = time.process_time()
    *found, valid = predict_all(checkpoint, jobs, PredictParams(precision="auto"))
    cpu = time.process_time() - started
    params = EvaluateParams(bootstrap_resamples=200, slice_columns=(), text_slices=())
    reports = evaluate_all(found, params, valid=valid)
    return {
        "cpu": cpu,
        "scores": {
            report.suite: {metric.name: metric.value for metric in report.metrics}
            for report in reports
        },
        "intervals": {
            report.suite: [report.metrics[0].n, report.metrics[0].ci_low, report.metrics[0].ci_high]
            for report in reports
        },
    }


def attack(workspace: Path, root: Path, name: str, rows: int) -> dict[str, Any]:
    from flows.arena import Arena
    from flows.prepare_data import read_datasets
    from pipeline_steps.inference.checkpoint import load_checkpoint
    from pipeline_steps.judging_params import AttackParams

    checkpoint = load_checkpoint(root / "checkpoint")
    arena = Arena.of(checkpoint, read_datasets(workspace).test, AttackParams(n_examples=rows))
    outcome, _ = arena.run(name, seed=0)
    right = [answer.predicted == answer.truth for answer in outcome.last]
    return {
        "accuracy": mean(right),
        "right": right,
        "clean": mean(r.clean_prediction == r.truth for r in outcome.results),
        "n": len(right),
        "queries": mean(result.n_queries for result in outcome.results),
        "cpu": outcome.cpu_seconds,
    }


def show(work: Path) -> list[dict[str, Any]]:
    """Print a table for each dataset, and return its records."""
    records = []
    for workspace in sorted(path.parent for path in work.glob("*/robust")):
        lines = {}
        for version in VERSIONS:
            found = sorted((workspace / "robust").glob(f"{version.replace(' ', '_')}--*"))
            columns = columns_of([path for path in found if (path / "training.json").exists()])
            if columns:
                lines[version] = columns
        names = list(dict.fromkeys(name for columns in lines.values() for name in columns))
        print(f"\n| {workspace.name} | " + " | ".join(lines) + " |")
        print("|---" * (len(lines) + 1) + "|")
        for name in names:
            digits = 3 if unit_of(name) in ("share", "nats", "factor") else 0
            cells = [shown(columns.get(name, []), digits) for columns in lines.values()]
            print(f"| {name} | {' | '.join(cells)} |")
        records += [
            record(f"{workspace.name}/{version}/{name}", found.value, unit_of(name), n=found.n)
            for version, columns in lines.items()
            for name, several in columns.items()
            for found in several
        ]
    return records


def columns_of(roots: list[Path]) -> dict[str, list[Number]]:
    """Return the numbers of a version over its seeds, by name."""
    columns: dict[str, list[Number]] = {}
    for root in roots:
        for name, value in numbers_of(root).items():
            columns.setdefault(name, []).append(value)
    return columns


@dataclass(frozen=True)
class Number:
    """One number of one version and seed, of n rows, with its interval where it is a share."""

    value: float
    n: int = 1
    interval: tuple[float, float] | None = None


def numbers_of(root: Path) -> dict[str, Number]:
    found = {}
    if (root / "suites.json").exists():
        found = numbers_of_suites(json.loads((root / "suites.json").read_text(encoding="utf-8")))
    for path in sorted(root.glob("attack-*.json")):
        attacked = json.loads(path.read_text(encoding="utf-8"))
        hits, n = sum(attacked["right"]), attacked["n"]
        name = path.stem.removeprefix("attack-")
        found[f"under {name}"] = Number(hits / n, n, wilson_interval(hits, n, 0.95))
        found[f"queries of {name}"] = Number(attacked["queries"], n)
    cpu = json.loads((root / "training.json").read_text(encoding="utf-8"))["cpu"]
    return found if cpu is None else {**found, "training, CPU s": Number(cpu)}


def numbers_of_suites(suites: dict[str, Any]) -> dict[str, Number]:
    scores, intervals = suites["scores"], suites["intervals"]
    n, *interval = intervals["test"]
    clean = scores["test"]["accuracy"]
    noisy = {name.removesuffix(f"_{SEVERITY}"): s["accuracy"] for name, s in scores.items() if "accuracy" in s}  # fmt: skip
    found = {
        "clean": Number(clean, n, tuple(interval)),
        "ECE": Number(scores["test"]["ece"], n),
    }
    found |= {
        said: Number(scores["test"][metric], n)
        for said, metric in SURENESS.items()
        if metric in scores["test"]
    }
    temperature = scores.get("calibration", {}).get("temperature")
    found |= {} if temperature is None else {"temperature": Number(temperature, n)}
    for name, kinds in (("letters", LETTERS), ("words", WORDS), ("all", (*LETTERS, *WORDS))):
        if noisy.keys() >= {*kinds}:
            lost = mean(clean - noisy[kind] for kind in kinds)
            found[f"mean loss, noise: {name}"] = Number(lost, n)
    found |= {kind: Number(noisy[kind], n) for kind in (*LETTERS, *WORDS) if kind in noisy}
    for name, suite in scores.items():
        if name.startswith(("shift_", "adv_")):
            n, *interval = intervals[name]
            value = suite.get("accuracy", suite.get("auroc_max_softmax"))
            found[name] = Number(value, n, tuple(interval))
            further = {"ECE": "ece", "ECE, scaled": "ece_scaled", "FPR95": "fpr95_max_softmax"}
            found |= {
                f"{name}, {said}": Number(suite[metric], n)
                for said, metric in further.items()
                if metric in suite
            }
    return found


def shown(several: list[Number], digits: int) -> str:
    if not several:
        return ""
    values = [number.value for number in several]
    if len(several) > 1:
        return f"{mean(values):.{digits}f} ± {stdev(values):.{digits}f}"
    if several[0].interval is None:
        return f"{values[0]:.{digits}f}"
    low, high = several[0].interval
    return f"{values[0]:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def unit_of(name: str) -> str:
    if name.startswith("queries"):
        return "queries a row"
    return {"training, CPU s": "CPU s", "NLL": "nats", "temperature": "factor"}.get(name, "share")


if __name__ == "__main__":
    main()
