"""A named model on a user's rows: evaluated on suites, or attacked."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import Field

from flows.bounding import bounds
from flows.commands.attack import Attack
from flows.commands.evaluate import bounding
from flows.foreign.behaviour import judged_tests, read_tests
from flows.foreign.joining import join_predictions
from flows.foreign.named import NamedModel
from flows.foreign.opening import identified, opened_victim, with_labels
from flows.foreign.rows import Judged, read_judged
from flows.foreign.shards import run_job
from flows.foreign.work import PREDICTED_ROWS, Job, Part, parts_of
from flows.leaning import leanings, surest_mistakes
from flows.pipeline import Call
from flows.stress import Behaviour
from pipeline_steps.attack_types import UnderAttack
from pipeline_steps.digests import value_digest
from pipeline_steps.evaluation.stress.suites import Texts, evaluate_all
from pipeline_steps.evaluation.stress.text_slices import text_profile
from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.finding_types import Leaning
from pipeline_steps.judging_params import AttackParams, EvaluateParams
from pipeline_steps.predictions_file import read_predictions
from pipeline_steps.types import SISTERS, DatasetRef, Predictions, Value

_HELD_OUT = 1_000
_OF_THE_TEXT_ALONE = ("length", "negation", "number", "question")


class Asked(Value):
    """What the user asks: of which model, on which rows, by how many processes.

    ``columns``: field -> column. ``directory`` keeps predictions and report; without it nothing is
    kept.
    """

    model: NamedModel
    problem: str | None
    data: Path
    columns: dict[str, str | None] = Field(default={})
    suites: tuple[str, ...] = ()
    noise: tuple[str, ...] = ()
    rewrite: tuple[str, ...] = ()
    behaviour: Path | None = None
    workers: int = 1
    directory: Path | None = None


class Evaluated(Value):
    """What came out: the model as it was found, its rows, and a report for each set of them.

    ``under_attack``: what the attacks say together. ``against``: the other model, attacked too.
    ``failures``: what the surest mistakes leaned on, where the weights are here.
    """

    model: NamedModel
    sources: dict[str, str]
    set_aside: dict[str, dict[str, int]]
    reports: tuple[EvaluationReport, ...] = ()
    attacks: tuple[Attack, ...] = ()
    under_attack: UnderAttack | None = None
    against: NamedModel | None = None
    failures: tuple[Leaning, ...] = ()


def evaluate_model(
    asked: Asked, params: EvaluateParams, rows_bounded: Mapping[str, int | None], *, call: Call
) -> Evaluated:
    """Return the reports of a model on the rows, on each suite, on behavioural tests and of bounds.

    Parameters
    ----------
    asked : Asked
        Model and rows.
    params : EvaluateParams
        Metrics and their intervals.
    rows_bounded : mapping
        Of ``certify`` and ``ball``: of how many of the rows.
    call : Call
        Calls the steps.

    Raises
    ------
    HoldfastError
        If the model or the rows cannot be read, or do not fit each other.
    """
    model, judged = call(match_model_and_rows, asked)
    attack = bounding(model.problem, AttackParams(), rows_bounded)
    with kept(asked.directory) as directory:
        tests = _tests(asked.behaviour, model, directory / "rows")
        datasets = [rows.written(directory / "rows") for rows in judged]
        further = [] if tests is None else [tests.dataset]
        predicted = call(predict_rows, model, datasets + further, directory, asked.workers)
        slices = tuple(name for name in params.text_slices if name in _OF_THE_TEXT_ALONE)
        reports = call(
            evaluate_all,
            predicted[: len(datasets)],
            params.model_copy(update={"text_slices": slices}),
            texts=_texts(judged, params),
            unchanged={
                rows.name: rows.n_alike(judged[0]) for rows in judged if rows.kind in SISTERS
            },
        )
        reports += judged_tests(tests, predicted, params.confidence)
        reports += call(bound_model, model, judged[0], attack, params.confidence)
        failures = call(explain_mistakes, model, judged[0], predicted[0])
    return evaluated(model, judged, reports=tuple(reports), failures=failures)


def explain_mistakes(
    model: NamedModel, judged: Judged, predictions: Predictions
) -> tuple[Leaning, ...]:
    """Return the surest wrong answers with the words that each leaned on; none of other problems.

    A model that runs elsewhere, and one with a prompt, has no gradients to ask for.
    """
    if model.served or model.problem != "text_classification":
        return ()
    answers = surest_mistakes(read_predictions(predictions))
    predictor = opened_victim(model).predictor if answers else None
    if predictor is None or not hasattr(predictor.model, "get_input_embeddings"):
        return ()
    rows = {str(row["example_id"]): row for row in judged.rows}
    return leanings(predictor, rows, answers)


def match_model_and_rows(asked: Asked) -> tuple[NamedModel, list[Judged]]:
    """Return the model with its labels, and the rows that it is judged on."""
    model = identified(asked.model, asked.problem)
    judged = read_judged(
        model.problem,
        asked.data,
        suites=asked.suites,
        columns=asked.columns,
        noise=asked.noise,
        rewrite=asked.rewrite,
    )
    return with_labels(model, [row for rows in judged for row in rows.rows]), judged


def _tests(path: Path | None, model: NamedModel, directory: Path) -> Behaviour | None:
    return None if path is None else read_tests(path, model, directory)


def bound_model(
    model: NamedModel, judged: Judged, attack: AttackParams, confidence: float
) -> list[EvaluationReport]:
    """Return what bounds all attacks of a kind on the model, as far as ``attack`` asks for it."""
    names = {"checkpoint_digest": model.digest, "dataset_digest": value_digest(judged.source)}
    return bounds(lambda: opened_victim(model), judged.rows, attack, confidence, names)


def predict_rows(
    model: NamedModel, datasets: Sequence[DatasetRef], directory: Path, workers: int
) -> list[Predictions]:
    """Return the model's predictions on each dataset, below ``directory``."""
    with notes() as place:
        parts = [parts_of(dataset, PREDICTED_ROWS, place) for dataset in datasets]
        flat = tuple(part for of_dataset in parts for part in of_dataset)
        run_job(Job(model=model, parts=flat), place, workers=workers, progress=telling(flat))
        return [
            join_predictions(
                [part.output for part in of_dataset],
                directory / "predictions" / f"{dataset.name}.parquet",
            )
            for dataset, of_dataset in zip(datasets, parts, strict=True)
        ]


def evaluated(model: NamedModel, judged: Sequence[Judged], **found: Any) -> Evaluated:
    """Return what was found of a model with where its rows come from."""
    return Evaluated(
        model=model,
        sources={rows.name: rows.source for rows in judged},
        set_aside={rows.name: dict(rows.set_aside) for rows in judged if rows.set_aside},
        **found,
    )


def _texts(judged: Sequence[Judged], params: EvaluateParams) -> Texts:
    """Return the texts; there are no training rows that could say which words are rare."""
    profile = text_profile((row["text"] for row in judged[0].rows), params.frequent_words)
    return Texts(
        profile=profile,
        by_suite={r.name: {row["example_id"]: row["text"] for row in r.rows} for r in judged},
    )


@contextmanager
def kept(directory: Path | None) -> Iterator[Path]:
    """Yield the directory that outputs are kept in, or one that vanishes."""
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
        yield directory.resolve()
        return
    with notes() as place:
        yield place


@contextmanager
def notes() -> Iterator[Path]:
    """Yield a directory that vanishes."""
    with tempfile.TemporaryDirectory(prefix="holdfast-judging-") as name:
        yield Path(name)


def telling(parts: Sequence[Part]) -> Any:
    """Return what says, on a terminal's error stream, how many rows are done."""
    from flows.foreign.progress import RowsDone

    return RowsDone(parts)
