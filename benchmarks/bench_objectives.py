"""What a step of each tuning method and of each objective costs: time, memory, trained weights.

MiniLM on messages of the sample corpus, bf16 where it pays, one thread, CPU seconds. Each variant
takes the same batches in the same order, in a process of its own that is forked from one with the
libraries loaded; a step's clock runs from before its batch goes in to after the optimizer. Memory
is the greatest resident size during the steps less what was resident before the rows were read.
What is done once (a teacher's pass over the rows, the Fisher information) is timed apart. Writes
``benchmarks/results/objectives.json``; a variant that was measured is kept in ``--work``, so the
command can be stopped and started again.

    python benchmarks/bench_objectives.py --work DIR [--steps 12] [--rounds 2] [--quick]
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

from records import record, write_records

N_ROWS = 800
WARM_UP_STEPS = 2
TUNINGS: dict[str, dict[str, Any]] = {
    "head": {"kind": "head"},
    "top_layers": {"kind": "top_layers"},
    "bitfit": {"kind": "bitfit"},
    "lora": {"kind": "lora"},
    "dora": {"kind": "lora", "decomposed": True},
    "adalora": {"kind": "adalora"},
    "ia3": {"kind": "ia3"},
    "houlsby": {"kind": "houlsby"},
    "pfeiffer": {"kind": "pfeiffer"},
    "prompt": {"kind": "prompt"},
    "prefix": {"kind": "prefix"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="keeps rows, teacher and results")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="a smoke run; writes nothing")
    options = parser.parse_args()
    if options.quick:
        options.steps, options.rounds = 3, 1
    os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    records = show(measure(options.work, options), options.rounds)
    if not options.quick:
        print(write_records("objectives", records))


def show(found: dict[str, list[dict[str, float]]], n: int) -> list[dict[str, Any]]:
    """Print a line for each variant, and return its records."""
    print("| variant | CPU ms a step | beside plain | MiB | trained | once, CPU s |")
    print("|---|---|---|---|---|---|")
    records = []
    for name, rounds in found.items():
        pairs = list(zip(rounds, found["plain"], strict=True))
        ratio = statistics.median(own["step"] / plain["step"] for own, plain in pairs)
        once = statistics.median(own["once"] - plain["once"] for own, plain in pairs)
        step, peak = (statistics.median(r[key] for r in rounds) for key in ("step", "peak_mib"))
        trained = int(rounds[0]["trained"])
        print(
            f"| {name} | {1e3 * step:.0f} | {ratio:.2f} | {peak:.0f} | {trained:,} | {once:.1f} |"
        )
        lower: dict[str, Any] = {"n": n, "higher_is_better": False}
        records += [
            record(f"{name}_step", round(ratio, 3), "plain steps", **lower),
            record(f"{name}_step_ms", round(1e3 * step, 1), "CPU ms", **lower),
            record(f"{name}_memory", round(peak, 1), "MiB", **lower),
            record(f"{name}_trained", trained, "weights", **lower),
            record(f"{name}_once", round(once, 2), "CPU s", **lower),
        ]
    return records


def measure(work: Path, options: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """Return for each variant what each round cost."""
    import transformers

    import pipeline_steps.training.finetune  # noqa: F401 - loaded once, before anything is forked

    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    work.mkdir(parents=True, exist_ok=True)
    train, valid, teacher = forked(lambda: prepared(work), work / "prepared.json")
    found: dict[str, list[dict[str, float]]] = {}
    for number in range(options.rounds):
        for name, asked in variants(teacher, train).items():
            kept = work / f"{name}-{options.steps}-{number}.json"
            measured = forked(
                lambda asked=asked: run(train, valid, asked, work / "trainer", options.steps), kept
            )
            found.setdefault(name, []).append(measured)
    return found


def forked(function: Any, kept: Path) -> Any:
    """Return what a function gives in a child process; what it gave before is read again."""
    if not kept.exists():
        child = os.fork()
        if child == 0:
            status = 1
            try:
                kept.write_text(json.dumps(function()), encoding="utf-8")
                status = 0
            finally:
                os._exit(status)  # no clean-up of what belongs to the parent
        if os.waitpid(child, 0)[1] != 0:
            raise SystemExit(f"the process of {kept.stem} failed")
    return json.loads(kept.read_text(encoding="utf-8"))


def variants(teacher: str, examples: str) -> dict[str, dict[str, Any]]:
    """Return settings of ``finetune`` by name."""
    asked = {
        name: {"objective": section} for name, section in objectives(teacher, examples).items()
    }
    return {"plain": {}, **{name: {"tuning": tuning} for name, tuning in TUNINGS.items()}, **asked}


def prepared(work: Path) -> tuple[str, str, str]:
    """Return the files of training and validation rows, and the directory of a teacher."""
    found = messages(work)
    train, valid = (work / "train.parquet", work / "valid.parquet")
    examples_file(train, found[:N_ROWS])
    examples_file(valid, found[N_ROWS : N_ROWS + 100])
    return str(train), str(valid), str(make_teacher(reference(train), reference(valid), work))


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


def examples_file(path: Path, content: list[dict[str, str]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from pipeline_steps.data_preparation.examples import EXAMPLES_SCHEMA

    filled = [
        {**dict.fromkeys(EXAMPLES_SCHEMA.names), "role": "train", "example_id": f"r{i}", **row}
        for i, row in enumerate(content)
    ]
    pq.write_table(pa.Table.from_pylist(filled, schema=EXAMPLES_SCHEMA), path)


def reference(path: Path) -> Any:
    from pipeline_steps.digests import file_digest
    from pipeline_steps.types import DatasetRef

    digest = file_digest(path, "md5")
    return DatasetRef(name=path.stem, split=path.stem, path=path, digest=digest, n_examples=N_ROWS)


def parameters(asked: dict[str, Any]) -> Any:
    from pipeline_steps.finetune_params import FinetuneParams

    return FinetuneParams.model_validate({"epochs": 1, "early_stopping_patience": None, **asked})


def make_teacher(train: Any, valid: Any, work: Path) -> Path:
    from pipeline_steps.training.finetune import finetune

    checkpoint = finetune(train, valid, parameters({}), work / "teacher", work=work / "t")
    return Path(checkpoint.path)


def run(
    train: str, valid: str, asked: dict[str, Any], work: Path, n_steps: int
) -> dict[str, float]:
    """Return CPU seconds of a step and of what is done once, memory, and how much is trained."""
    from transformers import set_seed

    from pipeline_steps.inference.base_model import resolve_base_model
    from pipeline_steps.training.finetune import _build
    from pipeline_steps.training.inputs import Inputs
    from pipeline_steps.training.preparation import n_learning

    params = parameters(asked)
    rows = (reference(Path(train)), reference(Path(valid)))
    before = resident("VmRSS")
    base = resolve_base_model(params.base_model)
    set_seed(0)
    begun = time.process_time()
    trainer = _build(Inputs(*rows, base, params, "text_classification"), work)[0]
    model = trainer.model
    assert model is not None
    built = time.process_time() - begun
    clock = step_clock()
    trainer.add_callback(clock)
    trainer.args.max_steps = n_steps + WARM_UP_STEPS
    trainer.args.eval_strategy = trainer.args.save_strategy = "no"
    trainer.args.load_best_model_at_end = False
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak counts from here
    trainer.train()
    return {
        "step": statistics.mean(clock.seconds[WARM_UP_STEPS:]),
        "once": built,
        "peak_mib": resident("VmHWM") - before,
        "trained": n_learning(model),
    }


def resident(name: str) -> float:
    """Return MiB of this process that are resident now (``VmRSS``) or were at most (``VmHWM``)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


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
