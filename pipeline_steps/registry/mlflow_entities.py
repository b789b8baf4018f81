"""Holdfast's parameters, datasets and reports as the entities that MLflow keeps."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.types import DatasetRef

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Metric, Param

DATASET_DIGEST = "holdfast.dataset_digest"
# The limits of MLflow 3: mlflow/utils/validation.py
PARAMS_A_CALL, METRICS_A_CALL = 100, 1000
_MAX_VALUE, _MAX_NAME, _MAX_DIGEST = 6000, 250, 36
_REFUSED_IN_A_NAME = re.compile(r"[^/\w.\- :]")


def params_of(params: Mapping[str, Any]) -> list[Param]:
    """Return nested parameters as ``section.key`` and text, cut to what MLflow accepts."""
    from mlflow.entities import Param

    flat = {_valid_name(name): value[:_MAX_VALUE] for name, value in _flat(params)}
    return [Param(name, value) for name, value in flat.items()]


def metrics_of(reports: Sequence[EvaluationReport]) -> list[Metric]:
    """Return every metric of every suite as ``suite/metric``, with its interval.

    What is undefined is left out: MLflow knows numbers only.
    """
    from mlflow.entities import Metric

    values = {
        _valid_name(f"{report.suite}/{name}"): value
        for report in reports
        for name, value in _numbers(report)
        if value is not None
    }
    return [Metric(name, value, timestamp=0, step=0) for name, value in values.items()]


def metric_of(name: str, value: float) -> Metric:
    """Return one number of a run under a name that MLflow accepts."""
    from mlflow.entities import Metric

    return Metric(_valid_name(name), float(value), timestamp=0, step=0)


def inputs_of(datasets: Iterable[DatasetRef]) -> list[DatasetInput]:
    """Return datasets as inputs of a run, each under its digest and split."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    return [
        DatasetInput(
            Dataset(
                name=dataset.name,
                digest=dataset.digest[:_MAX_DIGEST],
                source_type="local",
                source=json.dumps({"uri": str(dataset.path)}),
                profile=json.dumps({"num_rows": dataset.n_examples}),
            ),
            tags=[
                InputTag("mlflow.data.context", dataset.split),
                InputTag(DATASET_DIGEST, dataset.digest),
            ],
        )
        for dataset in datasets
    ]


def _flat(params: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    flat = []
    for key, value in params.items():
        if isinstance(value, Mapping) and value:
            flat += _flat(value, f"{prefix}{key}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value)
            flat.append((f"{prefix}{key}", text))
    return flat


def _numbers(report: EvaluationReport) -> list[tuple[str, float | None]]:
    """Return the number of rows and every metric of a report with the ends of its interval."""
    numbers: list[tuple[str, float | None]] = [("n", float(report.n))]
    for metric in report.every_metric:
        numbers += [
            (metric.name, metric.value),
            (f"{metric.name}/ci_low", metric.ci_low),
            (f"{metric.name}/ci_high", metric.ci_high),
        ]
    return numbers


def _valid_name(name: str) -> str:
    return _REFUSED_IN_A_NAME.sub("_", name)[:_MAX_NAME]
