"""A suite whose rows are none of the labels: is it noticed? No accuracy is counted there."""

from __future__ import annotations

from pipeline_steps.errors import DataError
from pipeline_steps.evaluation.outcomes import refuse_unusable
from pipeline_steps.evaluation.stress.detection import detection_metrics
from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.judging_params import EvaluateParams
from pipeline_steps.predictions_file import PredictionTable, read_predictions
from pipeline_steps.types import Predictions

HEADLINES = ("auroc_max_softmax", "fpr95_max_softmax")


def out_of_scope_report(
    clean: Predictions, suite: Predictions, params: EvaluateParams
) -> EvaluationReport:
    """Return how well the rows of a suite are told from the clean test rows.

    Raises
    ------
    DataError
        If a row of the suite has a label that the model knows (it is in scope), the problem's
        answers have no logits, or the predictions cannot be used.
    """
    inside, outside = (logit_table(predictions) for predictions in (clean, suite))
    known = sorted(set(outside.truth.tolist()) & set(outside.labels))
    if known:
        raise DataError(
            f"the suite {suite.suite} is said to be out of scope and has rows of {known[0]!r}, "
            "which is a label of the model",
            expected="rows whose label does not occur in train",
            fix="take those rows out of the raw file, or declare it as suite:NAME",
        )
    return EvaluationReport(
        checkpoint_digest=suite.checkpoint_digest,
        dataset_digest=suite.dataset_digest,
        predictions_digest=suite.digest,
        suite=suite.suite,
        kind="out_of_scope",
        n=len(outside.truth),
        metrics=detection_metrics(inside.logits, outside.logits, params),
        headlines=HEADLINES,
    )


def logit_table(predictions: Predictions) -> PredictionTable:
    """Return predictions with logits, checked.

    Raises
    ------
    DataError
        If the problem's answers have no logits, or the predictions cannot be used.
    """
    table = read_predictions(predictions)
    if not isinstance(table, PredictionTable):
        raise DataError(
            f"{predictions.suite} is said to be out of scope, and {predictions.problem} answers "
            "without logits of labels",
            expected="a problem whose answer is one label",
            fix="declare the file as suite:NAME",
        )
    refuse_unusable(table, table.logits)
    return table
