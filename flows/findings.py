"""What a report says beside the metrics: surest mistakes, luck of the seed, other versions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flows.gradients import saliencies
from flows.prepare_data import Datasets
from flows.workspace import Workspace
from pipeline_steps.evaluation.attacks.passage import Passage
from pipeline_steps.evaluation.stress.effective_robustness import robustness_lines
from pipeline_steps.evaluation.stress.seeds import spread_of_runs
from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.finding_types import Leaning, RobustnessLine, SeedSpread
from pipeline_steps.predictions_file import read_predictions
from pipeline_steps.types import Checkpoint, Predictions

EVALUATION_FILE = "evaluation.json"
_SHOWN = 8


def explain_failures(
    datasets: Datasets, checkpoint: Checkpoint, predictions: Predictions
) -> tuple[Leaning, ...]:
    """Return the surest wrong answers on the test set, with the words that each leaned on.

    Text classifiers with weights for labels alone: others have no gradient of one label.
    """
    from pipeline_steps.inference.prompted.storage import is_prompted

    if checkpoint.problem != "text_classification" or is_prompted(checkpoint.path):
        return ()
    table = read_predictions(predictions)
    wrong = [i for i in range(len(table.truth)) if table.predicted[i] != table.truth[i]]
    wrong.sort(key=lambda i: (-float(table.score[i]), str(table.example_ids[i])))
    answers = {
        str(table.example_ids[i]): (str(table.predicted[i]), float(table.score[i]))
        for i in wrong[:_SHOWN]
    }
    return _leanings(checkpoint.path, datasets.test.path, answers)


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


def _leanings(
    checkpoint: Path, test: Path, answers: dict[str, tuple[str, float]]
) -> tuple[Leaning, ...]:
    import pyarrow.parquet as pq

    from flows.victims import exact_victim

    if not answers:
        return ()
    rows = {str(row["example_id"]): row for row in pq.read_table(test).to_pylist()}
    victim = exact_victim(checkpoint)
    problem = victim.predictor.problem
    # The gradient is that of the answer's own loss: what spoke for it, not against the truth.
    asked = {name: {**rows[name], "label": said} for name, (said, _) in answers.items()}
    passages = [Passage.of(row, problem) for row in asked.values()]
    weights = saliencies(victim.predictor, passages)
    return tuple(
        Leaning(
            example_id=passage.example_id,
            truth=rows[passage.example_id]["label"],
            predicted=answers[passage.example_id][0],
            confidence=answers[passage.example_id][1],
            stretches=_stretches(passage, found),
        )
        for passage, found in zip(passages, weights, strict=True)
    )


def _stretches(passage: Passage, weights: Any) -> tuple[tuple[str, float], ...]:
    """Return the texts of a row cut at its words, each with its share of the heaviest weight."""
    heaviest = max((float(weight) for weight in weights), default=0.0) or 1.0
    found: list[tuple[str, float]] = []
    for number, (place, text) in enumerate(passage.pieces.items()):
        at = 0
        found += [(" / ", 0.0)] if number else []
        for word, weight in zip(passage.words, weights, strict=True):
            if word.place == place:
                found += [(text[at : word.start], 0.0), (word.text, float(weight) / heaviest)]
                at = word.end
        found.append((text[at:], 0.0))
    return tuple((text, weight) for text, weight in found if text)
