"""``holdfast report``: two versions side by side, from what was recorded of them."""

from __future__ import annotations

from pathlib import Path

from flows.prepare_data import read_datasets
from flows.registry_access import checkpoint_of, open_ledger, open_tracker
from flows.version_files import (
    fetch_version_files,
    recorded_attacks,
    recorded_decision,
    recorded_predictions,
    recorded_reports,
)
from flows.workspace import Workspace
from pipeline_steps.comparison_types import PairedComparison
from pipeline_steps.errors import UsageError
from pipeline_steps.evaluation.compare import compare
from pipeline_steps.files import write_text_atomically
from pipeline_steps.predictions_file import describe_predictions
from pipeline_steps.registry.champions import kind_of
from pipeline_steps.reporting.compare_report import (
    ComparedVersion,
    ComparisonRecord,
    render_comparison,
)
from pipeline_steps.types import UNCOMPARED, DatasetRef, ModelVersion, Predictions


def compare_versions(workspace: Workspace, numbers: tuple[int, int], path: Path | None) -> Path:
    """Return the HTML file that compares two versions, which needs nothing else; JSON beside it.

    Where both were predicted on today's rows, here or where they were judged, they are compared
    pair by pair too.

    Raises
    ------
    UsageError
        If the file is to have the name of the JSON file.
    RegistryError
        If there is no such version, or no run of it came to its end.
    EvidenceError
        If recorded predictions were changed.
    """
    target = path or workspace.state / "reports" / f"compare-{numbers[0]}-{numbers[1]}.html"
    data = _beside(target)
    tracker, name = open_tracker(workspace), workspace.params.register_.model_name
    versions = [tracker.version(name, number) for number in numbers]
    kept = [(version, fetch_version_files(workspace, version)) for version in versions]
    first, second = (compared_version(workspace, *one) for one in kept)
    target.parent.mkdir(parents=True, exist_ok=True)
    record = ComparisonRecord(
        model_name=name, first=first, second=second, paired=pair_by_pair(workspace, *kept)
    )
    write_text_atomically(data, record.model_dump_json(indent=1))
    write_text_atomically(target, render_comparison(record))
    return target


def _beside(target: Path) -> Path:
    """Return the JSON file of a comparison whose HTML file is ``target``."""
    data = target.with_suffix(".json")
    if data == target:
        raise UsageError(
            f"--output {target}",
            expected="a name for the HTML file; its data go to the same name with .json",
            fix=f"holdfast report --compare A B --output {target.with_suffix('.html')}",
        )
    return data


def compared_version(workspace: Workspace, version: ModelVersion, files: Path) -> ComparedVersion:
    """Return what is recorded of a version; ``files`` were fetched from its run."""
    moves = open_ledger(workspace).moves(version.name)
    return ComparedVersion(
        version=version.version,
        reports=tuple(recorded_reports(files)),
        decision=recorded_decision(files),
        checkpoint=checkpoint_of(workspace, version),
        under_attack=recorded_attacks(files),
        history=tuple(
            f"champion from {m.created_at[:19]} by a {kind_of(m)} of {m.actor}: {m.reason}"
            for m in moves
            if m.evidence["version"] == version.version
        ),
    )


def pair_by_pair(
    workspace: Workspace, first: tuple[ModelVersion, Path], second: tuple[ModelVersion, Path]
) -> tuple[PairedComparison, ...]:
    """Return the second against the first on each suite whose rows of today both answered.

    ``first`` and ``second``: versions, each with the files that were fetched from its run.
    """
    pairs = []
    for dataset in read_datasets(workspace.root).judged:
        if dataset.kind not in UNCOMPARED:
            theirs, ours = (_predictions(workspace, *one, dataset) for one in (first, second))
            if ours is not None and theirs is not None:
                pairs.append(compare(ours, theirs, workspace.params.evaluate))
    return tuple(pairs)


def _predictions(
    workspace: Workspace, version: ModelVersion, files: Path, dataset: DatasetRef
) -> Predictions | None:
    path = workspace.predictions_path(version.checkpoint_digest, dataset)
    if path.exists():
        return describe_predictions(path)
    found = recorded_predictions(workspace, files, dataset.name)
    return found if found is not None and found.dataset_digest == dataset.digest else None
