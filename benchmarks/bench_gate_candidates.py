"""Three candidates on real rows, and what the gate says of each: better, equal, worse under typos.

In a workspace of banking77 (or another dataset of that form) with a champion that learnt half of
the rows, mistyped ones too, three candidates are trained and judged, one after the other: one that
learnt all rows, mistyped ones too, and becomes champion; another seed of that recipe (equal: on
half of the rows two seeds are two points apart, on all of them they are not); and one that learnt
all rows clean only, more brittle and not worse on clean rows. What is expected: PROMOTE, HOLD or
INCONCLUSIVE, REJECT. Each verdict is then recomputed by ``holdfast gate``. Whether a candidate is
what it is called is recorded beside the verdict. No attack is run: a hundred attacked rows decide
nothing at a margin of three points. Writes ``benchmarks/results/gate_candidates.json``.

With ``--directory`` the workspace is kept, and what was judged there is not judged again, so that
each candidate can be a job of its own.

    python benchmarks/bench_gate_candidates.py DATA [--rows 4500] [--directory DIR --candidates 1]
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from records import record, write_records

HOLDFAST = [sys.executable, "-c", "from flows.cli import main; main()"]
LEARNS_TYPOS = {"probability": 0.8, "typos": 0.1, "word_loss": 0.0, "word_swap": 0.0}
RECIPES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "champion": ({"seed": 0, "augmentation": LEARNS_TYPOS}, ("PROMOTE",)),
    "better": ({"seed": 0, "augmentation": LEARNS_TYPOS}, ("PROMOTE",)),
    "equal": ({"seed": 1, "augmentation": LEARNS_TYPOS}, ("HOLD", "INCONCLUSIVE")),
    "worse under typos": ({"seed": 0, "augmentation": None}, ("REJECT",)),
}
LEARNS_HALF = "champion"
AXES = ("test/accuracy", "typos/accuracy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument(
        "--rows", type=int, default=4_500, help="rows of train that the first champion learns from"
    )
    parser.add_argument("--directory", type=Path, help="kept, and gone on with; default: none")
    parser.add_argument("--candidates", type=int, default=len(RECIPES), help="judged in this call")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        judge_all(options.directory or Path(directory), options)


def judge_all(directory: Path, options: argparse.Namespace) -> None:
    """Train and judge the candidates that were not judged before, at most so many."""
    workspace = directory / "workspace"
    if not workspace.exists():
        make_workspace(directory, options.data, options.rows)
    left = [name for name in RECIPES if not (directory / f"{name}.json").exists()]
    for name in left[: options.candidates]:
        finetune, expected = RECIPES[name]
        rows = options.rows if name == LEARNS_HALF else None
        write_train(workspace / "data" / "raw", options.data, rows)  # init has copied the first
        change(workspace, finetune=finetune)
        records = judged(workspace, name, expected)
        (directory / f"{name}.json").write_text(json.dumps(records), encoding="utf-8")
    files = [directory / f"{name}.json" for name in RECIPES]
    found = [json.loads(file.read_text(encoding="utf-8")) for file in files if file.exists()]
    write_records("gate_candidates", [one for records in found for one in records])


def make_workspace(directory: Path, data: Path, rows: int) -> None:
    """Make a workspace with the first rows of train, all of test and mistyped sisters of it."""
    directory.mkdir(parents=True, exist_ok=True)
    train = write_train(directory, data, rows)
    workspace = directory / "workspace"
    files = [f"--{split}={data / f'{split}.jsonl.gz'}" for split in ("valid", "test")]
    run("init", str(workspace), f"--train={train}", *files)
    noise = [{"name": "typos", "kind": "typos", "rate": 0.1}]
    change(workspace, suites={"noise": noise}, gate={"floors": {"test/accuracy": 0.3}})
    change(workspace, attack={"recipes": []})
    learning = {"early_stopping_patience": None, "learning_rate": 3e-4, "epochs": 8}
    change(workspace, finetune=learning)


def write_train(directory: Path, data: Path, rows: int | None) -> Path:
    """Write the first rows of train, or all, where the workspace reads them."""
    train = directory / "train.jsonl"
    with gzip.open(data / "train.jsonl.gz", "rt", encoding="utf-8") as file:
        train.write_text("".join(itertools.islice(file, rows)), encoding="utf-8")
    return train


def judged(workspace: Path, name: str, expected: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the records of one candidate, and print what the gate says."""
    started = time.perf_counter()
    result = json.loads(run("train", "-w", str(workspace), "--json"))
    again = run("gate", "-w", str(workspace), "--candidate", str(result["version"]), "--json")
    regated = json.loads(again)
    seconds = time.perf_counter() - started
    print(f"\n{name}: {result['verdict']}, recomputed {regated['verdict']}, {seconds:.0f} s")
    for check in regated["decision"]["checks"]:
        print(f"  {'ok' if check['passed'] else 'NO'}  {check['reason']}", flush=True)
    records = [
        record(f"{name}: {axis}", metric["value"], "share", n=metric["n"])
        for axis in AXES
        for metric in [result["metrics"][axis]]
    ]
    records += [
        record(f"{name}: {axis} beside the champion", gap, "share", n=n)
        for axis, gap, n in differences(regated["decision"]["checks"], records)
    ]
    as_expected = result["verdict"] in expected and regated["verdict"] == result["verdict"]
    title = f"{name}: {result['verdict']}, expected {' or '.join(expected)}"
    n = records[0]["n"]
    return [*records, record(title, float(as_expected), "as expected", n=n, target=1.0)]


def differences(
    checks: list[dict[str, Any]], records: list[dict[str, Any]]
) -> list[tuple[str, float, int]]:
    """Return how far the candidate is ahead of the champion on each axis, where there is one."""
    found = {check["name"]: check for check in checks}
    compared = [(axis, found.get(f"non-inferiority {axis}")) for axis in AXES]
    return [
        (axis, check["candidate"] - check["champion"], one["n"])
        for (axis, check), one in zip(compared, records, strict=True)
        if check is not None
    ]


def change(workspace: Path, **sections: dict[str, Any]) -> None:
    file = workspace / "params.yaml"
    values = yaml.safe_load(file.read_text(encoding="utf-8"))
    for section, keys in sections.items():
        values[section] |= keys
    file.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


def run(*arguments: str) -> str:
    """Return what a command printed; a verdict's exit code is no failure."""
    ended = subprocess.run([*HOLDFAST, *arguments], capture_output=True, text=True, check=False)
    if ended.returncode not in (0, 10, 11, 12):
        raise SystemExit(f"holdfast {arguments[0]} failed:\n{ended.stderr}")
    return ended.stdout


if __name__ == "__main__":
    main()
