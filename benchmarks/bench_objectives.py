"""What a step of each objective costs beside a plain one, in CPU seconds.

MiniLM on messages of the sample corpus, bf16 where it pays, one thread. Each variant takes the same
batches in the same order; a step's clock runs from before its batch goes in to after the optimizer.
What is done once (a teacher's pass over the rows, the Fisher information) is timed apart. Writes
``benchmarks/results/objectives.json``.

    python benchmarks/bench_objectives.py [--steps 12] [--rounds 2] [--quick]
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from records import record, write_records

N_ROWS = 800
WARM_UP_STEPS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="a smoke run; writes nothing")
    options = parser.parse_args()
    if options.quick:
        options.steps, options.rounds = 3, 1
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    with tempfile.TemporaryDirectory() as directory:
        found = measure(Path(directory), options)
    print("| objective | CPU seconds a step | beside a plain one | once, CPU seconds |")
    print("|---|---|---|---|")
    records = []
    for name, (seconds, ratio, once) in found.items():
        print(f"| {name} | {seconds:.2f} | {ratio:.2f} | {once:.1f} |")
        records.append(record(f"{name}_step", round(ratio, 3), "plain steps", n=options.rounds))
        records.append(record(f"{name}_once", round(once, 2), "CPU s", n=options.rounds))
    if not options.quick:
        print(write_records("objectives", records))


def measure(work: Path, options: argparse.Namespace) -> dict[str, tuple[float, float, float]]:
    """Return for each variant: CPU seconds of a step, the ratio, CPU seconds of what is once."""
    found = messages(work)
    train = examples_file(work / "train.parquet", found[:N_ROWS])
    valid = examples_file(work / "valid.parquet", found[N_ROWS : N_ROWS + 100])
    teacher = make_teacher(train, valid, work)
    variants = {"plain": {}, **objectives(str(teacher), str(train.path))}
    rounds = [
        {
            name: run(train, valid, objective, work / f"{name}{number}", options.steps)
            for name, objective in variants.items()
        }
        for number in range(options.rounds)
    ]
    return {
        name: (
            statistics.median(r[name][0] for r in rounds),
            statistics.median(r[name][0] / r["plain"][0] for r in rounds),
            statistics.median(r[name][1] - r["plain"][1] for r in rounds),
        )
        for name in variants
    }


def objectives(teacher: str, examples: str) -> dict[str, dict[str, Any]]:
    return {
        "fgm": {"fgm": {}},
        "pgd": {"pgd": {}},
        "freelb": {"freelb": {}},
        "smart": {"smart": {}},
        "rdrop": {"rdrop": {}},
        "contrastive": {"contrastive": {}},
        "distillation": {"distillation": {"teachers": [teacher]}},
        "hidden": {"hidden": {"teacher": teacher}},
        "l2sp": {"l2sp": {}},
        "ewc": {"ewc": {"checkpoint": teacher, "examples": examples, "n_rows": 200}},
        "lwf": {"lwf": {"checkpoint": teacher}},
    }


def messages(root: Path) -> list[dict[str, str]]:
    """Return the messages of the sample corpus; the lines that it breaks on purpose are left out."""
    from pipeline_steps.data_preparation.sample_corpus import CORPUS, generate

    generate(root)
    found = []
    with gzip.open(root / CORPUS) as file:
        lines = file.readlines()
    for line in lines:
        try:
            row = json.loads(line)
            found.append({"text": str(row["message"]), "label": str(row["intent"])})
        except (ValueError, KeyError):
            continue
    return found


def examples_file(path: Path, content: list[dict[str, str]]) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from pipeline_steps.data_preparation.ingest import EXAMPLES_SCHEMA
    from pipeline_steps.digests import file_digest
    from pipeline_steps.types import DatasetRef

    filled = [
        {**dict.fromkeys(EXAMPLES_SCHEMA.names), "role": "train", "example_id": f"r{i}", **row}
        for i, row in enumerate(content)
    ]
    pq.write_table(pa.Table.from_pylist(filled, schema=EXAMPLES_SCHEMA), path)
    digest = file_digest(path, "md5")
    return DatasetRef(
        name=path.stem, split=path.stem, path=path, digest=digest, n_examples=len(content)
    )


def parameters(objective: dict[str, Any]) -> Any:
    from pipeline_steps.finetune_params import FinetuneParams

    return FinetuneParams.model_validate(
        {"epochs": 1, "early_stopping_patience": None, "objective": objective}
    )


def make_teacher(train: Any, valid: Any, work: Path) -> Path:
    from pipeline_steps.training.finetune import finetune

    checkpoint = finetune(train, valid, parameters({}), work / "teacher", work=work / "t")
    return Path(checkpoint.path)


def run(
    train: Any, valid: Any, objective: dict[str, Any], work: Path, n_steps: int
) -> tuple[float, float]:
    """Return CPU seconds of a step, and of building what is trained."""
    from transformers import set_seed

    from pipeline_steps.inference.base_model import resolve_base_model
    from pipeline_steps.training.finetune import _build
    from pipeline_steps.training.inputs import Inputs

    params = parameters(objective)
    base = resolve_base_model(params.base_model)
    set_seed(0)
    begun = time.process_time()
    trainer = _build(Inputs(train, valid, base, params, "text_classification"), work)[0]
    built = time.process_time() - begun
    clock = step_clock()
    trainer.add_callback(clock)
    trainer.args.max_steps = n_steps + WARM_UP_STEPS
    trainer.args.eval_strategy = trainer.args.save_strategy = "no"
    trainer.args.load_best_model_at_end = False
    trainer.train()
    return statistics.mean(clock.seconds[WARM_UP_STEPS:]), built


def step_clock() -> Any:
    from transformers import TrainerCallback

    class StepClock(TrainerCallback):
        seconds: list[float]

        def __init__(self) -> None:
            self.seconds = []

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.begun = time.process_time()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.seconds.append(time.process_time() - self.begun)

    return StepClock()


if __name__ == "__main__":
    main()
