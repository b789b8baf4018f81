"""Workers of one service answer in one precision, whatever each would have measured."""

from __future__ import annotations

import json
from pathlib import Path

from served_workspaces import make_checkpoint, make_served_workspace

from flows.serving_precision import settled
from pipeline_steps.inference.predictor import Predictor


def test_the_first_worker_measures_and_the_others_follow(tmp_path: Path) -> None:
    workspace = make_served_workspace(tmp_path / "ws", precision="auto")
    predictor = Predictor.from_checkpoint(make_checkpoint(tmp_path / "tiny", 0).path)
    agreed = tmp_path / "precision-1"
    _, choice = settled(predictor, workspace, agreed)
    assert (choice.precision, "are needed to compare" in choice.reason) == ("fp32", True)
    assert settled(predictor, workspace, agreed)[1] == choice
    agreed.write_text(json.dumps({"precision": "bf16", "reason": "measured", "n_rows": 500}))
    followed, choice = settled(predictor, workspace, agreed)
    assert (followed.precision, choice.precision, choice.n_rows) == ("bf16", "bf16", 500)
    assert settled(predictor, workspace, None)[1].precision == "fp32"  # alone it measures
