"""``holdfast report``: two versions side by side, from what was recorded of them."""

from __future__ import annotations

from pathlib import Path

from flows.prepare_data import read_datasets
from flows.registry_access import checkpoint_of, open_ledger, open_tracker
from flows.version_files import fetch_version_files, recorded_decision, recorded_reports
from flows.workspace import Workspace
from pipeline_steps.comparison_types import PairedComparison
from pipeline_steps.digests import file_digest
from pipeline_steps.evaluation.compare import compare
from pipeline_steps.files import write_text_atomically
from pipeline_steps.registry.champions import kind_of
from pipeline_steps.reporting.compare_report import ComparedVersion, render_comparison
from pipeline_steps.types import UNCOMPARED, DatasetRef, Predictions


def compare_versions(workspace: Workspace, numbers: tuple[int, int], path: Path | None) -> Path:
    """Return the HTML file that compares two versions; it needs nothing else to be read.

    Where the predictions of both on today's rows lie here, they are compared pair by pair too.

    Raises
    ------
    RegistryError
        If there is no such version, or its run never came to its end.
    """
    first, second = (compared_version(workspace, number) for number in numbers)
    name = workspace.params.register_.model_name
    target = path or workspace.state / "reports" / f"compare-{numbers[0]}-{numbers[1]}.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    paired = pair_by_pair(workspace, first, second)
    write_text_atomically(target, render_comparison(name, first, second, paired))
    return target


def compared_version(workspace: Workspace, number: int) -> ComparedVersion:
    """Return what is recorded of a version."""
    name = workspace.params.register_.model_name
    version = open_tracker(workspace).version(name, number)
    files = fetch_version_files(workspace, version)
    moves = [m for m in open_ledger(workspace).moves(name) if m.evidence["version"] == number]
    return ComparedVersion(
        version=number,
        reports=tuple(recorded_reports(files)),
        decision=recorded_decision(files),
        checkpoint=checkpoint_of(workspace, version),
        history=tuple(
            f"champion from {m.created_at[:19]} by a {kind_of(m)} of {m.actor}: {m.reason}"
            for m in moves
        ),
    )


def pair_by_pair(
    workspace: Workspace, first: ComparedVersion, second: ComparedVersion
) -> list[PairedComparison]:
    """Return the second against the first on each suite that both were run on here."""
    pairs = []
    for dataset in read_datasets(workspace.root).judged:
        found = [_predictions(workspace, v, dataset) for v in (second, first)]
        if dataset.kind not in UNCOMPARED and found[0] is not None and found[1] is not None:
            pairs.append(compare(found[0], found[1], workspace.params.evaluate))
    return pairs


def _predictions(
    workspace: Workspace, version: ComparedVersion, dataset: DatasetRef
) -> Predictions | None:
    path = workspace.predictions_path(version.checkpoint.digest, dataset)
    if not path.exists():
        return None
    return Predictions(
        path=path,
        digest=file_digest(path),
        checkpoint_digest=version.checkpoint.digest,
        dataset_digest=dataset.digest,
        suite=dataset.name,
        kind=dataset.kind,
        n_examples=dataset.n_examples,
        problem=version.checkpoint.problem,
    )
