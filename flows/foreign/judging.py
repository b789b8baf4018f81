"""A named model on a user's rows: evaluated on suites, or attacked."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import Field

from flows.bounding import bounds
from flows.commands.attack import Attack, attack_settings, refuse_mistakes
from flows.commands.evaluate import bounding
from flows.foreign.behaviour import judged_tests, read_tests
from flows.foreign.joining import Joined, join_attacks, join_predictions
from flows.foreign.named import NamedModel
from flows.foreign.opening import identified, opened_victim, with_labels
from flows.foreign.rows import Judged, read_judged
from flows.foreign.shards import run_job
from flows.foreign.work import ATTACKED_ROWS, PREDICTED_ROWS, Job, Part, parts_of
from flows.pipeline import Call
from flows.stress import Behaviour
from pipeline_steps.attack_types import UnderAttack
from pipeline_steps.digests import value_digest
from pipeline_steps.evaluation.attacks.attack import drawn_rows, others
from pipeline_steps.evaluation.attacks.measures import attack_metrics
from pipeline_steps.evaluation.attacks.results_file import AboutAttack
from pipeline_steps.evaluation.attacks.summary import summarise_all
from pipeline_steps.evaluation.evaluate import evaluate
from pipeline_steps.evaluation.stress.suites import Texts, evaluate_all
from pipeline_steps.evaluation.stress.text_slices import text_profile
from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.judging_params import AttackParams, EvaluateParams, GateParams
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

    ``under_attack``: what the attacks say together.
    """

    model: NamedModel
    sources: dict[str, str]
    set_aside: dict[str, dict[str, int]]
    reports: tuple[EvaluationReport, ...] = ()
    attacks: tuple[Attack, ...] = ()
    under_attack: UnderAttack | None = None


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
    with _kept(asked.directory) as directory:
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
    return _evaluated(model, judged, reports=tuple(reports))


def attack_model(
    asked: Asked, settings: Mapping[str, Any], params: EvaluateParams, *, call: Call
) -> Evaluated:
    """Return what attacks make of a model on rows of the data.

    Parameters
    ----------
    asked : Asked
        Model and rows.
    settings : mapping
        Keys of ``attack``; what is ``None`` is as ``params.yaml`` has it by default.
    params : EvaluateParams
        Metrics and their intervals.

    Raises
    ------
    HoldfastError
        As :func:`evaluate_model`, or if there is no such attack, or not on such a model.
    """
    attack = attack_settings(AttackParams(scout="none"), dict(settings))
    model, judged = call(match_model_and_rows, asked)
    refuse_mistakes(model.problem, attack, GateParams(), model.masked_model)
    clean = judged[0]
    picked = drawn_rows(clean.rows, attack.n_examples, attack.seed, target=attack.target)
    drawn = tuple(dict(row) for row in picked)
    rows = Judged(clean.name, clean.kind, drawn, clean.source, clean.set_aside)
    rest = tuple(dict(row) for row in others(clean.rows, drawn, attack.seed)[:_HELD_OUT])
    with _kept(asked.directory) as directory, _notes() as notes:
        dataset = rows.written(directory / "rows")
        beside = replace(rows, name="held_out", rows=rest).written(notes)
        found = call(attack_rows_of, model, (dataset, beside), attack, directory, asked.workers)
        attacks = tuple(_attack(one, params) for one in found)
    runs = {one.report.suite: (one.results, AboutAttack(cost=one.cost)) for one in attacks}
    together = call(summarise_all, runs, params)
    return _evaluated(model, [rows], attacks=attacks, under_attack=together)


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
    with _notes() as notes:
        parts = [parts_of(dataset, PREDICTED_ROWS, notes) for dataset in datasets]
        flat = tuple(part for of_dataset in parts for part in of_dataset)
        run_job(Job(model=model, parts=flat), notes, workers=workers, progress=_telling(flat))
        return [
            join_predictions(
                [part.output for part in of_dataset],
                directory / "predictions" / f"{dataset.name}.parquet",
            )
            for dataset, of_dataset in zip(datasets, parts, strict=True)
        ]


def attack_rows_of(
    model: NamedModel,
    datasets: tuple[DatasetRef, DatasetRef],
    attack: AttackParams,
    directory: Path,
    workers: int,
) -> list[Joined]:
    """Return predictions, results and cost of each attack, below ``directory``.

    ``datasets``: the rows that are attacked, and others that are not.
    """
    dataset, held_out = datasets
    with _notes() as notes:
        parts = tuple(parts_of(dataset, ATTACKED_ROWS, notes))
        job = Job(model=model, parts=parts, attack=attack, held_out=held_out)
        run_job(job, notes, workers=workers, progress=_telling(parts))
        return [
            join_attacks(parts, recipe, directory / "attacks" / f"{recipe}.parquet")
            for recipe in attack.recipes
        ]


def _attack(found: Joined, params: EvaluateParams) -> Attack:
    predicted, results, cost = found
    report = evaluate(predicted, params)
    metrics = report.metrics + attack_metrics(results, params)
    return Attack(
        report=report.model_copy(update={"metrics": metrics}), cost=cost, results=tuple(results)
    )


def _evaluated(model: NamedModel, judged: Sequence[Judged], **found: Any) -> Evaluated:
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
def _kept(directory: Path | None) -> Iterator[Path]:
    """Yield the directory that outputs are kept in, or one that vanishes."""
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
        yield directory.resolve()
        return
    with _notes() as notes:
        yield notes


@contextmanager
def _notes() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="holdfast-judging-") as name:
        yield Path(name)


def _telling(parts: Sequence[Part]) -> Any:
    """Return what says, on a terminal's error stream, how many rows are done."""
    from flows.foreign.progress import RowsDone

    return RowsDone(parts)
