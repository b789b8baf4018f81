"""What the judging of a version reads beside predictions: texts, behavioural tests, suite names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.answerable import answerable
from flows.prepare_data import Datasets
from flows.workspace import Workspace
from pipeline_steps.digests import file_digest, value_digest
from pipeline_steps.errors import ConfigurationError
from pipeline_steps.evaluation.behaviour.cases import SUITE as BEHAVIOUR
from pipeline_steps.evaluation.behaviour.cases import Case, cases_of, write_cases
from pipeline_steps.evaluation.behaviour.declared import BehaviourFile, load_behaviour
from pipeline_steps.evaluation.behaviour.fitting import EXPECTATIONS
from pipeline_steps.evaluation.stress.averages import SUITE as AVERAGE
from pipeline_steps.evaluation.stress.scaling import SUITE as CALIBRATION
from pipeline_steps.evaluation.stress.suites import Texts
from pipeline_steps.evaluation.stress.text_marks import TextMarks, asks_for_marks
from pipeline_steps.evaluation.stress.text_slices import text_profile
from pipeline_steps.types import SISTERS, DatasetRef

_PROFILE_ROWS = 100_000  # more texts would not change which words are frequent
_BATCH_ROWS = 10_000
REPORTS = (BEHAVIOUR, CALIBRATION, AVERAGE, "certified", "embedding_ball", "worst_case")
"""Names of reports that are no suites."""
_READ = ("text", "text_pair", "target")


@dataclass(frozen=True)
class Behaviour:
    """Behavioural tests with their cases, written down as rows to predict."""

    declared: BehaviourFile
    cases: tuple[Case, ...]
    dataset: DatasetRef


def refuse_unanswerable(workspace: Workspace, datasets: Datasets) -> None:
    """Refuse, before anything is trained, what no report could say afterwards.

    Raises
    ------
    ConfigurationError
        If two suites have one name, a suite has the name of a report of another kind or of an
        attack that is asked for, or the behavioural tests are wrong.
    """
    names = [suite.name for suite in datasets.judged]
    reports = (*REPORTS, *workspace.params.attack.recipes)
    taken = [name for name in names if names.count(name) > 1 or name in reports]
    if taken:
        raise ConfigurationError(
            f"a suite is called {taken[0]}, like another report",
            expected=f"names of their own; {', '.join(reports)} are taken",
            fix="rename it in suites or in the source's role in params.yaml",
        )
    _declared(workspace, datasets)


def behaviour_digest(workspace: Workspace) -> str | None:
    """Return the digest of the file of behavioural tests, or ``None`` without one."""
    path = _behaviour_path(workspace)
    return None if path is None or not path.is_file() else file_digest(path)


def read_behaviour(workspace: Workspace, datasets: Datasets) -> Behaviour | None:
    """Return the behavioural tests, or ``None``: there are none."""
    declared = _declared(workspace, datasets)
    if declared is None:
        return None
    cases = cases_of(declared)
    path = workspace.state / "behaviour" / f"{behaviour_digest(workspace)}.parquet"
    return Behaviour(declared, cases, write_cases(cases, path, workspace.params.problem))


def read_texts(workspace: Workspace, datasets: Datasets) -> Texts | None:
    """Return the texts of all suites by row id and the profile of train, where slices want them."""
    params = workspace.params.evaluate
    if not params.text_slices and not asks_for_marks(params.slice_columns):
        return None
    train = (text for _, text in _texts(datasets.train.path, _PROFILE_ROWS))
    return Texts(
        profile=text_profile(train, params.frequent_words),
        by_suite={suite.name: dict(_texts(suite.path)) for suite in datasets.judged},
    )


def count_unchanged(test: DatasetRef, suites: Sequence[DatasetRef]) -> dict[str, int]:
    """Return of each suite made of test rows how many of its rows are read as those are."""
    made = [suite for suite in suites if suite.kind in SISTERS]
    clean = _content(test.path) if made else {}
    return {suite.name: len(clean.items() & _content(suite.path).items()) for suite in made}


def _content(path: Path) -> dict[str, str]:
    """Return row id -> what is read of the row."""
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=["example_id", *_READ])
    return {row.pop("example_id"): value_digest(row) for row in table.to_pylist()}


def read_marks(workspace: Workspace, datasets: Datasets) -> TextMarks | None:
    """Return what the texts of all suites are like; ``None``: no slice is cut by it."""
    if not asks_for_marks(workspace.params.evaluate.slice_columns):
        return None
    texts = read_texts(workspace, datasets)
    return None if texts is None else TextMarks.of_texts(texts.by_suite, texts.profile)


def _declared(workspace: Workspace, datasets: Datasets) -> BehaviourFile | None:
    path = _behaviour_path(workspace)
    if path is None:
        return None
    problem = workspace.params.problem
    if problem not in EXPECTATIONS:
        raise ConfigurationError(
            f"evaluate.behaviour is set, and the problem is {problem}",
            expected=f"a problem that behavioural tests can ask: {', '.join(EXPECTATIONS)}",
            fix="set evaluate.behaviour to null",
        )
    return load_behaviour(path, answerable(workspace, datasets), problem)


def _behaviour_path(workspace: Workspace) -> Path | None:
    name = workspace.params.evaluate.behaviour
    return None if name is None else workspace.root / name


def _texts(path: Path, most: int | None = None) -> Iterator[tuple[str, str]]:
    """Yield (row id, text) of the first rows of an examples file."""
    import pyarrow.parquet as pq

    left = most
    columns = ["example_id", "text"]
    for batch in pq.ParquetFile(path).iter_batches(batch_size=_BATCH_ROWS, columns=columns):
        part = batch if left is None else batch.slice(0, left)
        ids, texts = (part.column(name).to_pylist() for name in columns)
        yield from ((row, text or "") for row, text in zip(ids, texts, strict=True))
        left = None if left is None else left - len(ids)
        if left == 0:
            return
