"""What a model that is trained now will be able to answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flows.prepare_data import Datasets
from flows.workspace import Workspace
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.problems.catalog import get_problem

_BATCH_ROWS = 10_000


def answerable(workspace: Workspace, datasets: Datasets) -> frozenset[str]:
    """Return the labels, or types of entities, that a training with these parameters learns.

    They are those of the train rows, of the earlier rows that come again (``objective.replay``) and
    of the old models whose answers are kept (``lwf``, ``ewc``). A file or checkpoint that is
    missing counts for none: the training refuses it in words of its own.
    """
    problem, finetune = workspace.params.problem, workspace.params.finetune
    files = [datasets.train.path, *_earlier(finetune)]
    found = (labels_in(path, problem) for path in files)
    return frozenset().union(*found, *_old_labels(finetune))


def labels_in(path: Path, problem: str) -> frozenset[str]:
    """Return the labels, or the types of entities, in an examples file."""
    import pyarrow.parquet as pq

    asked = get_problem(problem)
    if asked.has_label:
        column = pq.read_table(path, columns=["label"])["label"]
        return frozenset(label for label in column.unique().to_pylist() if label is not None)
    found: set[str] = set()
    columns = ["label", "target"]
    for batch in pq.ParquetFile(path).iter_batches(batch_size=_BATCH_ROWS, columns=columns):
        found.update(asked.labels_in(*(batch.column(name).to_pylist() for name in columns)))
    return frozenset(found)


def _earlier(finetune: FinetuneParams) -> Iterator[Path]:
    replay = finetune.objective.replay
    if replay is not None and Path(replay.examples).is_file():
        yield Path(replay.examples)


def _old_labels(finetune: FinetuneParams) -> Iterator[tuple[str, ...]]:
    from pipeline_steps.inference.checkpoint import META, load_checkpoint

    for section in (finetune.objective.lwf, finetune.objective.ewc):
        if section is not None and (Path(section.checkpoint) / META).is_file():
            yield load_checkpoint(Path(section.checkpoint), verify=False).labels
