"""A model runs once per dataset; everything that is said of it afterwards reads this file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline_steps.errors import DataError
from pipeline_steps.inference.examples_file import read_examples
from pipeline_steps.inference.forward import best_device
from pipeline_steps.inference.precision import choose_precision
from pipeline_steps.inference.predictor import Predictor
from pipeline_steps.judging_params import PredictParams
from pipeline_steps.predictions_file import describe_predictions, write_predictions
from pipeline_steps.provenance import PREDICTING_CODE, code_version
from pipeline_steps.types import Checkpoint, DatasetRef, Predictions


def predict(
    checkpoint: Checkpoint, dataset: DatasetRef, output: Path, params: PredictParams
) -> Predictions:
    """Return the checkpoint's outputs on a dataset, in dataset order.

    An ``output`` that was made from the same checkpoint and dataset, by the same code and in the
    same precision, is reused.
    """
    return predict_all(checkpoint, [(dataset, output)], params)[0]


def predict_all(
    checkpoint: Checkpoint, jobs: Sequence[tuple[DatasetRef, Path]], params: PredictParams
) -> list[Predictions]:
    """Return the checkpoint's outputs on several datasets; the model is loaded once, or not."""
    predictor: Predictor | None = None
    precision = choose_precision(params.precision, best_device())
    code = _code(precision)
    results = []
    for dataset, output in jobs:
        found = _reusable(output, checkpoint, dataset, code)
        if found is None:
            predictor = predictor or Predictor.from_checkpoint(
                checkpoint.path, precision=precision, batch_tokens=params.batch_tokens
            )
            found = _predict(predictor, checkpoint, dataset, output, code)
        results.append(found)
    return results


def _code(precision: str) -> str:
    """Return what predicts: code, and a precision that answers a little otherwise than fp32.

    ``auto`` is one precision here and another one elsewhere: what was predicted there is not
    compared with what is predicted here.
    """
    code = code_version(PREDICTING_CODE)
    return code if precision == "fp32" else f"{code}-{precision}"


def _predict(
    predictor: Predictor, checkpoint: Checkpoint, dataset: DatasetRef, output: Path, code: str
) -> Predictions:
    return write_predictions(
        output,
        predictor.table(read_examples(dataset.path)),
        checkpoint_digest=checkpoint.digest,
        dataset_digest=dataset.digest,
        suite=dataset.name,
        kind=dataset.kind,
        problem=checkpoint.problem,
        code=code,
    )


def _reusable(
    output: Path, checkpoint: Checkpoint, dataset: DatasetRef, code: str
) -> Predictions | None:
    if not output.exists():
        return None
    try:
        earlier = describe_predictions(output)
    except DataError:  # truncated or foreign: it is made anew
        return None
    same = (checkpoint.digest, dataset.digest, dataset.name, dataset.n_examples, code)
    found = (
        earlier.checkpoint_digest,
        earlier.dataset_digest,
        earlier.suite,
        earlier.n_examples,
        earlier.code,
    )
    return earlier if found == same else None
