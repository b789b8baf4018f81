"""What another seed brings: measured by training again, kept in the ledger, read by the gate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from builders import write_examples
from tiny_models import save_tiny_model
from tiny_workspaces import sentiment_rows
from warm_commands import WarmCommands

from flows.commands.reproduce import Learnt
from flows.commands.reseed import Reseeded, lines, spread_over_seeds, trained_with
from flows.pipeline import call_directly
from flows.prepare_data import Datasets
from flows.seed_spread import SEED_SPREAD, measured_noise
from flows.settings import Settings
from flows.workspace import Workspace
from pipeline_steps.digests import file_digest
from pipeline_steps.evaluation.stress.seeds import noise_floor
from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.params import parse_params
from pipeline_steps.registry.ledger import Ledger
from pipeline_steps.training.finetune import finetune
from pipeline_steps.types import Checkpoint, DatasetRef, ValidationReport

Trained = tuple[Path, dict[str, Any]]


def rows(path: Path, name: str, n: int, seed: int) -> DatasetRef:
    write_examples(path, sentiment_rows(n, seed))
    digest = file_digest(path, "md5")
    return DatasetRef(name=name, split=name, path=path, digest=digest, n_examples=n)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> tuple[Workspace, Datasets, Checkpoint]:
    root = tmp_path_factory.mktemp("reseeded")
    finetune_keys = {
        "base_model": str(save_tiny_model(root / "base")),
        "epochs": 1,
        "learning_rate": 3e-3,
        "batch_tokens": 512,
        "precision": "fp32",
        "max_length": 32,
        "seed": 7,
    }
    params = parse_params(
        {
            "ingest": {"sources": [{"path": "raw.jsonl"}]},
            "finetune": finetune_keys,
            "evaluate": {"bootstrap_resamples": 20},
        },
        source="the test",
    )
    workspace = Workspace(root, params, Settings())
    datasets = Datasets(
        train=rows(root / "train.parquet", "train", 60, 0),
        valid=rows(root / "valid.parquet", "valid", 20, 1),
        test=rows(root / "test.parquet", "test", 40, 2),
        suites=(),
        validation=ValidationReport(dataset_digest="d", success=True, n_rows=120, n_kept=120),
    )
    checkpoint = finetune(
        datasets.train, datasets.valid, params.finetune, root / "out", work=root / "work"
    )
    return workspace, datasets, checkpoint


def test_further_seeds_of_a_recipe_spread_and_are_trained_once(recipe) -> None:
    workspace, datasets, checkpoint = recipe
    params = FinetuneParams.model_validate(checkpoint.parameters)
    learnt = Learnt(train=datasets.train, valid=datasets.valid, params=params)

    def reports_over_seeds() -> list[EvaluationReport]:
        trained = [trained_with(workspace, learnt, checkpoint, seed) for seed in (8, 9)]
        return spread_over_seeds(workspace, datasets.judged, trained, call_directly)

    [report] = found = reports_over_seeds()
    assert (report.suite, report.kind, report.n) == ("test_seeds", "seeds", 2)
    noise = noise_floor(report)
    assert noise["test/nll"] > 0.0
    assert {"test/accuracy", "test/macro_f1", "test/ece"} <= noise.keys()
    written = {p: p.stat().st_mtime_ns for p in workspace.state.glob("reseeded/*/*/checkpoint/*")}
    assert reports_over_seeds() == found
    assert written == {p: p.stat().st_mtime_ns for p in written}
    said = lines(Reseeded(version=3, seeds=(8, 9), reports=tuple(found), noise=noise)).splitlines()
    assert said[0] == "version 3 trained with the seeds 8, 9"
    assert said[1].startswith("test: accuracy ")


def test_the_last_spread_on_the_same_rows_counts(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    for version, std in ((1, 0.01), (2, 0.02)):
        evidence = {
            "version": version,
            "seeds": [8, 9, 10],
            "datasets": {"test": "d", "typos": "e"},
            "spread": {"test/accuracy": std, "typos/accuracy": 0.05},
        }
        ledger.append(SEED_SPREAD, model_name="m", actor="a", reason="r", evidence=evidence)
    [known] = measured_noise(ledger.entries("m"), {"test": "d", "typos": "other rows"})
    assert (known.axis, known.std, known.runs) == ("test/accuracy", 0.02, 3)
    assert known.source == "version 2 trained anew, on these rows"


@pytest.mark.slow
def test_a_spread_in_the_ledger_lets_a_candidate_be_judged_by_it(
    holdfast: WarmCommands, trained: Trained
) -> None:
    root, _ = trained
    ended = holdfast("reseed", "--runs", "2", "--json", cwd=root, skip=["reproduce_data"])
    assert ended.code == 0, ended.stderr
    found = Reseeded.model_validate(ended.printed)
    assert {report.suite for report in found.reports} == {"test_seeds", "typos_seeds"}
    entries = holdfast("ledger", "log", "--json", cwd=root).printed
    [entry] = [e for e in entries if e["event"] == SEED_SPREAD]
    assert entry["evidence"]["spread"] == found.noise
