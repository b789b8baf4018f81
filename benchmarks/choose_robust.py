"""Which normaliser is best before one set of weights, asked on the valid rows alone.

The weights are those of a version that ``bench_robust.py`` trained in the same --work; each variant
of ``finetune.normalisation`` is put before them. Clean accuracy, the mean loss over the kinds of
noise in letters, and the accuracy under attacks are all of valid rows, so that the test rows of
``bench_robust.py`` have no part in the choice.

    python benchmarks/choose_robust.py --workspace WORK/sst2 [--version plain--0] [--rows 100]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import mean
from typing import Any

from records import record, write_records
from robust_data import LETTERS, SEVERITY

VARIANTS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "default": {},
    "absorption 5": {"absorption": 5.0},
    "absorption 20": {"absorption": 20.0},
    "training words alone": {"base_weight": 0.0},
    "training words alone, absorption 5": {"base_weight": 0.0, "absorption": 5.0},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--version", default="plain--0")
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS))
    parser.add_argument("--attacks", nargs="*", default=["deepwordbug", "known_defence"])
    parser.add_argument("--rows", type=int, default=100, help="valid rows that are attacked")
    options = parser.parse_args()
    chosen = options.workspace / "robust" / "choice"
    for name in options.variants:
        path = chosen / f"{name.replace(' ', '_')}.json"
        if not path.exists():
            found = measured(options, name, chosen / name.replace(" ", "_"))
            path.write_text(json.dumps(found, indent=1), encoding="utf-8")
        print(name, path.read_text(encoding="utf-8"), flush=True)
    write_records("robust_choice", records_of(options.workspace.name, chosen))


def measured(options: argparse.Namespace, name: str, directory: Path) -> dict[str, Any]:
    """Return what a variant makes of the valid rows."""
    from flows.arena import Arena
    from flows.prepare_data import read_datasets
    from pipeline_steps.judging_params import AttackParams

    datasets = read_datasets(options.workspace)
    weights = options.workspace / "robust" / options.version / "checkpoint"
    checkpoint = with_normaliser_before(weights, VARIANTS[name], datasets.train.path, directory)
    arena = Arena.of(checkpoint, datasets.valid, AttackParams(n_examples=options.rows))
    found = {"n": arena_rows(datasets.valid.path), **clean_and_noisy(arena, datasets.valid.path)}
    for attack in options.attacks:
        outcome, _ = arena.run(attack, seed=0)
        found[f"under {attack}"] = mean(a.predicted == a.truth for a in outcome.last)
    return found


def with_normaliser_before(
    weights: Path, variant: dict[str, Any] | None, train: Path, directory: Path
) -> Any:
    """Return a checkpoint with the same weights, behind another normaliser or none."""
    import shutil

    from pipeline_steps.inference.checkpoint import META, load_checkpoint, write_checkpoint
    from pipeline_steps.inference.examples_file import read_examples
    from pipeline_steps.inference.normalising.building import build_normaliser
    from pipeline_steps.inference.tokenization import load_tokenizer
    from pipeline_steps.normalisation_params import NormalisationParams

    plain = load_checkpoint(weights)
    if variant is None:
        return plain
    params = NormalisationParams.model_validate(variant)
    normaliser = build_normaliser(read_examples(train).texts, load_tokenizer(weights), params)

    def save(target: Path) -> None:
        shutil.copytree(weights, target, dirs_exist_ok=True)
        (target / META).unlink()
        normaliser.save(target)

    fields = plain.model_dump(exclude={"path", "digest"})
    return write_checkpoint(directory, save, lambda digest: {**fields, "digest": digest})


def clean_and_noisy(arena: Any, path: Path) -> dict[str, float]:
    """Return accuracy on all valid rows, and the mean loss over noise in their letters."""
    import pyarrow.parquet as pq

    from pipeline_steps.noise.catalog import perturb, rate_of

    rows = pq.read_table(path).to_pylist()
    victim = arena.victims[-1]  # the scout, in bf16 where that pays

    def accuracy(texts: list[str]) -> float:
        answers = victim([{**row, "text": text} for row, text in zip(rows, texts, strict=True)])
        return float(mean(answer.predicted == answer.truth for answer in answers))

    def noisy(kind: str) -> list[str]:
        rate = rate_of(kind, SEVERITY)
        return [
            perturb(row["text"], kind, rate, seed=0, example_id=str(row["example_id"]))
            for row in rows
        ]

    clean = accuracy([row["text"] for row in rows])
    lost = mean(clean - accuracy(noisy(kind)) for kind in LETTERS)
    return {"clean": clean, "mean loss, noise in letters": lost}


def arena_rows(path: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)


def records_of(dataset: str, chosen: Path) -> list[dict[str, Any]]:
    """Return the records of all variants that were measured."""
    records = []
    for path in sorted(chosen.glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        n = int(found.pop("n"))
        name = path.stem.replace("_", " ")
        records += [record(f"{dataset}/{name}/{key}", v, "share", n=n) for key, v in found.items()]
    return records


if __name__ == "__main__":
    main()
