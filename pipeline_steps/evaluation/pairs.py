"""All comparisons of two checkpoints: suite by suite, rows out of scope beside clean ones."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline_steps.comparison_types import PairedComparison
from pipeline_steps.errors import DataError
from pipeline_steps.evaluation.compare import compare
from pipeline_steps.evaluation.stress.out_of_scope_pairs import compare_out_of_scope
from pipeline_steps.evaluation.stress.text_marks import TextMarks
from pipeline_steps.judging_params import EvaluateParams
from pipeline_steps.types import Predictions


def compare_all(
    candidate: Sequence[Predictions],
    champion: Sequence[Predictions],
    params: EvaluateParams,
    marks: TextMarks | None = None,
) -> list[PairedComparison]:
    """Return one comparison a suite, candidate minus champion.

    ``marks``: what the texts are like, where slices are cut by it.
    A suite that only one of the two was predicted on is left out: the gate misses it.

    Raises
    ------
    DataError
        If the two were predicted on other rows of a suite, or nothing is clean beside rows out of
        scope.
    """
    theirs = {predictions.suite: predictions for predictions in champion}
    pairs = [(ours, theirs[ours.suite]) for ours in candidate if ours.suite in theirs]
    clean = next((pair for pair in pairs if pair[0].kind == "clean"), None)
    found = []
    for ours, other in pairs:
        if ours.kind != "out_of_scope":
            found.append(compare(ours, other, params, marks))
        elif clean is None:
            raise DataError(
                f"{ours.suite} is out of scope, and no clean rows were compared",
                expected="predictions of the test set by both",
                fix="give the predictions of the test set too",
            )
        else:
            found.append(compare_out_of_scope((clean[0], ours), (clean[1], other), params))
    return found
