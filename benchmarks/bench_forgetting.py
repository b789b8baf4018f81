"""What each way of learning new data keeps of the old: accuracy on both, before and after.

The first rows are learnt by plain tuning of MiniLM; then its checkpoint learns the later rows in
each of the ways that ``methods`` names, and all rows are learnt at once from MiniLM, which is what
keeping everything would bring. Later rows are those of --later, which has the same labels; without
it the labels are cut into two halves, and the later half brings labels that nobody has seen. Rows
are drawn by the seed, as many of each label; CPU seconds are of one thread, training alone. A
result is kept in --work as it is obtained, so the command can be stopped and started again; the
tables and ``benchmarks/results/forgetting.json`` are made of all that is there.

    python benchmarks/bench_forgetting.py --work DIR --data DATASET [--later FILE]
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from bench_objectives import examples_file, forked
from records import record, write_records

Rows = list[dict[str, str]]
N_LABELS = 20
"""Labels that are cut into halves."""
N_TRAIN, N_VALID, N_TEST = 200, 40, 300
"""Rows of each half, or of each file."""
SHARED: dict[str, Any] = {
    "epochs": 3,
    "batch_tokens": 256,
    "learning_rate": 2e-4,
    "early_stopping_patience": None,
}
ALL_AT_ONCE = "all rows at once"
FORGET_LABELS = ("l2sp", "wise_ft 0.5")
"""As plain tuning they answer with labels of the later rows only: no use where those are new."""
SUITES = ("first", "later")


def methods(old: Path, earlier: Path) -> dict[str, dict[str, Any]]:
    """Return settings of ``finetune`` by name, for rows that come after a checkpoint's own."""
    ewc = {"checkpoint": str(old), "examples": str(earlier), "n_rows": 100}
    return {
        "plain": {},
        "replay": {"objective": {"replay": {"examples": str(earlier)}}},
        "replay, half": {"objective": {"replay": {"examples": str(earlier), "share": 0.5}}},
        "ewc": {"objective": {"ewc": ewc}},
        "ewc, 10,000": {"objective": {"ewc": {**ewc, "weight": 1e4}}},
        "lwf": {"objective": {"lwf": {"checkpoint": str(old)}}},
        "l2sp": {"objective": {"l2sp": {}}, "weight_decay": 0.0},
        "wise_ft 0.5": {"wise_ft": {"alpha": 0.5}},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="keeps rows and results")
    parser.add_argument("--data", type=Path, help="directory with train and test .jsonl.gz")
    parser.add_argument("--later", type=Path, help="rows with the same labels that come later")
    parser.add_argument("--methods", nargs="*", default=list(methods(Path(), Path())))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    options = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    if options.data:
        measure(options)
    print(write_records("forgetting", show(options.work)))


def measure(options: argparse.Namespace) -> None:
    """Learn the first rows, then the later ones in each way, each in a process of its own."""
    import transformers

    import pipeline_steps.training.finetune  # noqa: F401 - loaded once, before anything is forked

    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    world = options.data.name + (f"-{stem(options.later)}" if options.later else "")
    for seed in options.seeds:
        root = options.work / world / str(seed)
        write_rows(root, options.data, options.later, seed)
        ran(root, "before", "first", {}, seed)
        asked = methods(root / "before", root / "first-train.parquet")
        for name in options.methods:
            if options.later is None and name in FORGET_LABELS:
                continue
            settings = {"base_model": str(root / "before"), **asked[name]}
            ran(root, name, "later", settings, seed)
        ran(root, ALL_AT_ONCE, "all", {}, seed)


def write_rows(root: Path, data: Path, later: Path | None, seed: int) -> None:
    """Write what is learnt and judged: ``first``, ``later`` and both as ``all``."""
    rng = random.Random(seed)
    train, test = (read(data / f"{part}.jsonl.gz") for part in ("train", "test"))
    if later is None:
        labels = rng.sample(sorted({row["label"] for row in train}), N_LABELS)
        halves = set(labels[: N_LABELS // 2]), set(labels[N_LABELS // 2 :])
        parts = [[[r for r in of if r["label"] in half] for of in (train, test)] for half in halves]
    else:
        rows = drawn(read(later), N_TRAIN + N_VALID + N_TEST, rng)
        parts = [[train, test], [rows[:-N_TEST], rows[-N_TEST:]]]
    root.mkdir(parents=True, exist_ok=True)
    both: dict[str, Rows] = {"train": [], "valid": []}
    for name, (to_learn, to_judge) in zip(SUITES, parts, strict=True):
        rows = drawn(to_learn, N_TRAIN + N_VALID, rng)
        cut = {"train": rows[:N_TRAIN], "valid": rows[N_TRAIN:]}
        for part, of_part in [*cut.items(), ("test", drawn(to_judge, N_TEST, rng))]:
            examples_file(root / f"{name}-{part}.parquet", of_part)
        both = {part: [*both[part], *cut[part]] for part in both}
    for part, of_part in both.items():
        examples_file(root / f"all-{part}.parquet", of_part)


def read(path: Path) -> Rows:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        found = [json.loads(line) for line in lines]
    return [{"text": row["text"], "label": row["label"]} for row in found]


def drawn(rows: Rows, n: int, rng: random.Random) -> Rows:
    """Return at most ``n`` rows in random order, as many of each label as of any other."""
    by_label: dict[str, Rows] = defaultdict(list)
    for row in rows:
        by_label[row["label"]].append(row)
    share = n // len(by_label)
    chosen = [row for of in by_label.values() for row in rng.sample(of, min(share, len(of)))]
    rng.shuffle(chosen)
    return chosen


def ran(root: Path, name: str, rows: str, settings: dict[str, Any], seed: int) -> None:
    """Fine-tune and score in a child process, unless that was done before."""
    result = root / f"{name.replace(' ', '_')}.json"
    if not result.exists():
        kept = root / "before" if name == "before" else None
        found = forked(lambda: run(root, rows, {**SHARED, "seed": seed, **settings}, kept), result)
        print(f"{root.parent.name} seed {seed} {name}: {found}", flush=True)


def run(
    root: Path, rows: str, settings: dict[str, Any], kept: Path | None
) -> dict[str, float | int]:
    """Return the accuracy on both test files, and what the training cost."""
    from pipeline_steps.evaluation.evaluate import evaluate
    from pipeline_steps.finetune_params import FinetuneParams
    from pipeline_steps.inference.predict import predict_all
    from pipeline_steps.judging_params import EvaluateParams, PredictParams
    from pipeline_steps.training.finetune import finetune

    params = FinetuneParams.model_validate(settings)
    train, valid = (reference(root / f"{rows}-{part}.parquet") for part in ("train", "valid"))
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        started = time.process_time()
        checkpoint = finetune(train, valid, params, kept or place / "made", work=place / "work")
        cpu = time.process_time() - started
        jobs = [(reference(root / f"{s}-test.parquet"), place / f"{s}.parquet") for s in SUITES]
        said = predict_all(checkpoint, jobs, PredictParams(precision="auto"))
        reports = [evaluate(one, EvaluateParams(bootstrap_resamples=100)) for one in said]
    scores = [value_of(report) for report in reports]
    return {**dict(zip(SUITES, scores, strict=True)), "cpu": cpu}


def value_of(report: Any) -> float:
    return float(report.metric("accuracy").value)


def reference(path: Path) -> Any:
    import pyarrow.parquet as pq

    from pipeline_steps.digests import file_digest
    from pipeline_steps.types import DatasetRef

    n = pq.read_metadata(path).num_rows
    digest = file_digest(path, "md5")
    return DatasetRef(name=path.stem, split=path.stem, path=path, digest=digest, n_examples=n)


def stem(path: Path) -> str:
    return path.name.split(".")[0]


def show(work: Path) -> list[dict[str, Any]]:
    """Print a table for each pair of tasks, and return its records."""
    records = []
    order = ["before", *methods(Path(), Path()), ALL_AT_ONCE]
    for world in sorted(path for path in work.iterdir() if path.is_dir()):
        print(f"\n| {world.name} | first | later | mean | CPU s | seeds |")
        print("|---|---|---|---|---|---|")
        for name in order:
            files = sorted(world.glob(f"*/{name.replace(' ', '_')}.json"))
            runs = [json.loads(file.read_text(encoding="utf-8")) for file in files]
            if runs:
                records += show_one(world.name, name, runs)
    return records


def show_one(world: str, name: str, runs: list[dict[str, float]]) -> list[dict[str, Any]]:
    """Print one line: means over seeds, with the standard deviation where there are several."""
    both = [{**run, "mean": mean(run[suite] for suite in SUITES)} for run in runs]
    cells = []
    for key in (*SUITES, "mean"):
        values = [run[key] for run in both]
        cells.append(f"{mean(values):.3f}{f' ± {stdev(values):.3f}' if len(values) > 1 else ''}")
    cpu, n = mean(run["cpu"] for run in runs), len(runs)
    print(f"| {name} | {' | '.join(cells)} | {cpu:.0f} | {n} |")
    of_suites = [
        record(f"{world}/{name}/{suite}", mean(run[suite] for run in runs), "accuracy", n=n)
        for suite in SUITES
    ]
    return [*of_suites, record(f"{world}/{name}/cpu", cpu, "CPU s", n=n, higher_is_better=False)]


if __name__ == "__main__":
    main()
