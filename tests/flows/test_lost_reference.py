"""What a monitor compares with, where the files of its references are gone or no longer fit."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from traffic_builders import answered, logged, monitored, reference

from flows.monitoring.references import keep_reference, training_name
from flows.monitoring.windows import fresh_state, open_store, read_windows
from flows.workspace import Workspace
from pipeline_steps.monitoring.reference import Reference, accept
from pipeline_steps.monitoring.traffic import TrafficLog
from pipeline_steps.types import ModelVersion

VERSION = ModelVersion(
    name="m", version=1, mlflow_run_id="r", model_uri="u", checkpoint_digest="c" * 64
)


@pytest.fixture(scope="module")
def training() -> Reference:
    return reference()


@pytest.fixture
def accepting(tmp_path: Path, training: Reference) -> Workspace:
    """Return a workspace whose monitor has accepted a polite window, with polite traffic since."""
    content = {"ingest": {"sources": [{"path": "a.csv"}]}, "register": {"model_name": "m"}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    workspace = Workspace.open(tmp_path)
    store = open_store(workspace)
    rng = np.random.default_rng(3)
    polite = monitored(answered(rng, 400, polite=1.0))
    anchor = accept(training, polite.rows, current_digest=polite.digest, strata=polite.strata)
    keep_reference(workspace, anchor)
    new = fresh_state(workspace, VERSION, training, anchor, cursor=0)
    store.advance("m", new, expected=None, tickets=[])
    TrafficLog(workspace.traffic_url).append(logged(answered(rng, 400, polite=1.0)))
    return workspace


def test_a_lost_accepted_reference_starts_the_detector_anew_and_is_said(
    accepting: Workspace, training: Reference
) -> None:
    shutil.rmtree(accepting.state / "references")
    [report] = read_windows(accepting, VERSION, training)
    assert report.reference_digest == training.digest
    assert "the accepted reference is lost" in report.notes[-1]
    state = open_store(accepting).state("m")
    assert (state.anchor_digest, state.cursor) == (training.digest, 400)


@pytest.mark.parametrize("changed", [{"monitor": {"strata": "segment"}}, {"serve": {"redact": []}}])
def test_what_decides_a_references_content_is_in_its_name(
    accepting: Workspace, changed: dict[str, Any]
) -> None:
    """Else the old one would go on: without segments, or with texts as no log keeps them."""
    name = training_name(accepting, VERSION)
    content = yaml.safe_load((accepting.root / "params.yaml").read_text(encoding="utf-8"))
    (accepting.root / "params.yaml").write_text(yaml.safe_dump({**content, **changed}))
    assert training_name(Workspace.open(accepting.root), VERSION) != name
    assert training_name(accepting, VERSION) == name


def test_an_accepted_reference_that_is_there_is_compared_with(
    accepting: Workspace, training: Reference
) -> None:
    [report] = read_windows(accepting, VERSION, training)
    assert (report.status, report.notes) == ("no_drift", ())
    assert report.reference_digest != training.digest
