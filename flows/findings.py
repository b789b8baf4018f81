"""What a report says beside the metrics: luck of the seed, other versions."""

from __future__ import annotations

import json
from collections.abc import Sequence

from flows.workspace import Workspace
from pipeline_steps.evaluation.stress.effective_robustness import robustness_lines
from pipeline_steps.evaluation.stress.seeds import spread_of_runs
from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.finding_types import RobustnessLine, SeedSpread
from pipeline_steps.types import Checkpoint

EVALUATION_FILE = "evaluation.json"


def seed_spread(checkpoint: Checkpoint, confidence: float) -> SeedSpread | None:
    """Return the scores of a training with several seeds, or ``None`` where there was one."""
    found = checkpoint.training.get("runs")
    return None if found is None else spread_of_runs(found, confidence)


def beside_others(
    workspace: Workspace, checkpoint: Checkpoint, reports: Sequence[EvaluationReport]
) -> tuple[RobustnessLine, ...]:
    """Return the version beside the other finished runs of this workspace, suite by suite."""
    others: dict[str, list[EvaluationReport]] = {}
    for file in sorted((workspace.state / "runs").glob(f"*/{EVALUATION_FILE}")):
        content = json.loads(file.read_text(encoding="utf-8"))
        found = [EvaluationReport.model_validate(report) for report in content]
        if found and found[0].checkpoint_digest != checkpoint.digest:
            others[found[0].checkpoint_digest] = found
    confidence = workspace.params.evaluate.confidence
    return robustness_lines(reports, list(others.values()), confidence)
