"""A verdict with slices by text is recomputed from its evidence, without the texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flows.evidence import Evidence, EvidenceFolders, StoredFile, recomputed
from pipeline_steps.digests import file_digest
from pipeline_steps.errors import EvidenceError
from pipeline_steps.evaluation.stress.text_marks import TextMarks
from pipeline_steps.evaluation.stress.text_slices import TextProfile
from pipeline_steps.judging_params import EvaluateParams, GateParams
from pipeline_steps.predictions_file import PredictionTable, write_predictions
from pipeline_steps.registry.gate import Beside

N = 60
TEXTS = {f"r{i}": "not now" if i % 3 else "now" for i in range(N)}


def predicted(path: Path, digest: str, n_wrong: int) -> Path:
    """Write answers of which the first are wrong."""
    logits = np.tile(np.float32([1.0, 0.0]), (N, 1))
    logits[:n_wrong] = [0.0, 1.0]
    table = PredictionTable(
        example_ids=np.array([*TEXTS], dtype=object),
        truth=np.full(N, "x", dtype=object),
        logits=logits,
        labels=("x", "y"),
        n_tokens=np.ones(N, dtype=np.int32),
        columns={name: np.full(N, None) for name in ("domain", "group", "source", "timestamp")},
    )
    return write_predictions(
        path, table, checkpoint_digest=digest, dataset_digest="rows", suite="test", kind="clean"
    ).path


@pytest.fixture
def folders(tmp_path: Path) -> EvidenceFolders:
    profile = TextProfile(frozenset({"now", "not"}), 1.0, 2.0)
    [marks] = TextMarks.of_texts({"test": TEXTS}, profile).write(tmp_path / "slices").values()
    files = {
        "candidate/test": predicted(tmp_path / "a.parquet", "a", 12),
        "champion/test": predicted(tmp_path / "b.parquet", "b", 0),
        "valid": predicted(tmp_path / "c.parquet", "a", 6),
        "slices/test": marks,
    }
    stored = {
        name: StoredFile(place=path.relative_to(tmp_path).as_posix(), digest=file_digest(path))
        for name, path in files.items()
    }
    evidence = Evidence(
        candidate_digest="a",
        champion_digest="b",
        evaluate=EvaluateParams(bootstrap_resamples=20, slice_columns=("negation",)),
        gate=GateParams(),
        beside=Beside(),
        files=stored,
    )
    return EvidenceFolders(evidence, tmp_path, [])


def test_slices_by_text_are_recomputed_without_the_texts(folders: EvidenceFolders) -> None:
    reports, comparisons = recomputed(folders)
    assert comparisons is not None
    assert {(part.value, part.n) for part in comparisons[0].slices} == {("yes", 40), ("no", 20)}
    ours = reports[0].metric("worst_group_accuracy")
    assert ours is not None
    assert comparisons[0].worst_group is not None
    assert comparisons[0].worst_group.candidate == ours.value


def test_slices_that_were_changed_are_found(folders: EvidenceFolders) -> None:
    path = folders.path("slices/test")
    path.write_text(path.read_text(encoding="utf-8").replace("yes", "no"), encoding="utf-8")
    with pytest.raises(EvidenceError, match="its content was changed"):
        recomputed(folders)
