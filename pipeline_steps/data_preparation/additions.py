"""Raw files that retrains add: beside the declared sources, named by a list, never edited.

Each retrain writes a directory of its own below ``data/additions`` and puts its files at the end
of the list. The directory as a whole is what the stage ``ingest`` depends on and what DVC tracks:
each state of it is a version of the dataset.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError

from pipeline_steps.data_params import IngestParams, SourceParams
from pipeline_steps.errors import DataError
from pipeline_steps.files import write_text_atomically

ADDITIONS = Path("data/additions")
MANIFEST = ADDITIONS / "sources.yaml"
WINDOW = "window"
EARLIER = "earlier_"  # and the id of the retrain: the suite of its window once there is a newer one
_HEADER = "# Raw files that retrains added, read after ingest.sources of params.yaml; written by\n"
_HEADER += "# `holdfast retrain`. A file below this directory is never edited;\n"
_HEADER += "# DVC keeps what a retrain that failed had added, and was replaced.\n"
_SOURCES = TypeAdapter(tuple[SourceParams, ...])


def ensure_additions(root: Path) -> None:
    """Write an empty list where there is none: DVC needs what a stage depends on."""
    if not (root / MANIFEST).exists():
        (root / ADDITIONS).mkdir(parents=True, exist_ok=True)
        write_additions(root, ())


def read_additions(root: Path) -> tuple[SourceParams, ...]:
    """Return the added sources of a workspace, oldest first; none where there is no list.

    Raises
    ------
    DataError
        If the list cannot be read.
    """
    path = root / MANIFEST
    if not path.exists():
        return ()
    try:
        return _SOURCES.validate_python(yaml.safe_load(path.read_text(encoding="utf-8")) or [])
    except (yaml.YAMLError, UnicodeDecodeError, ValidationError) as error:
        raise DataError(
            f"{path} cannot be read: {error}",
            expected="a list of sources (path, role) as `holdfast retrain` writes it",
            fix="restore it: dvc checkout data/additions.dvc",
        ) from error


def write_additions(root: Path, sources: Sequence[SourceParams]) -> None:
    """Write the list of added sources, whole or not at all."""
    content = [source.model_dump(exclude_none=True) for source in sources]
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=10**6)
    write_text_atomically(root / MANIFEST, _HEADER + text)


def with_additions(params: IngestParams, root: Path) -> IngestParams:
    """Return the sources that are declared, and behind them those that retrains added.

    Rows that were declared for training where the split stage had to find a test set among them
    stay rows to be split: what is added later is learnt from and changes no test set.
    """
    added = read_additions(root)
    if not added:
        return params
    roles = {source.role for source in params.sources}
    split_anyway = "train" in roles and not {"valid", "test"} <= roles
    declared = tuple(
        source.model_copy(update={"role": "auto"})
        if split_anyway and source.role == "train"
        else source
        for source in params.sources
    )
    return params.model_copy(update={"sources": declared + added})


def next_additions(
    earlier: Sequence[SourceParams], paths: dict[str, str], kept_windows: int
) -> tuple[SourceParams, ...]:
    """Return the list after the files of a new window are added to it.

    Parameters
    ----------
    earlier : sequence of SourceParams
        The list as it is.
    paths : dict
        ``train`` and ``window`` -> path relative to the workspace; with these files in it, the
        list stays as it is.
    kept_windows : int
        Earlier windows that stay suites; older ones are no longer read, their files stay.
    """
    if any(source.path in paths.values() for source in earlier):
        return tuple(earlier)
    renamed = [_as_earlier(source) for source in earlier]
    windows = [source.path for source in renamed if source.role.startswith("suite:")]
    gone = set(windows[: max(len(windows) - kept_windows, 0)])
    new = (
        SourceParams(path=paths["train"], role="train"),
        SourceParams(path=paths[WINDOW], role=f"suite:{WINDOW}"),
    )
    return (*(source for source in renamed if source.path not in gone), *new)


def _as_earlier(source: SourceParams) -> SourceParams:
    """Return a source whose window is no longer the latest: its suite gets the name of its run."""
    if source.role != f"suite:{WINDOW}":
        return source
    return source.model_copy(update={"role": f"suite:{EARLIER}{Path(source.path).parent.name}"})
