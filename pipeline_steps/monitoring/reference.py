"""The champion's reference: scores of rows that it never learnt from, frozen with their digests."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pipeline_steps.digests import file_digest, value_digest
from pipeline_steps.errors import DataError
from pipeline_steps.files import atomic_directory
from pipeline_steps.monitoring.cells import Cells, fit_cells
from pipeline_steps.monitoring.harm import HarmModel, fit_harm_model
from pipeline_steps.monitoring.scores import Frozen, ScoredRows, score_rows
from pipeline_steps.monitoring.words import text_vectors, word_costs, word_counts
from pipeline_steps.types import Value

Array = np.ndarray[Any, Any]
_META, _ARRAYS = "reference.json", "arrays.npz"


class ReferenceMeta(Value):
    """What a reference is of.

    ``anchor``: ``training`` (held-out rows; it never slides) or ``accepted`` (the window of a
    ticket that was found benign). ``names`` of the scores; ``answers``: labels by frequency;
    ``labels``: what probabilities are of, in order.
    """

    anchor: Literal["training", "accepted"]
    checkpoint_digest: str
    dataset_digest: str
    n: int
    names: tuple[str, ...]
    answers: tuple[str, ...]
    labels: tuple[str, ...]
    cell_names: tuple[str, ...]
    reach: float
    harm: HarmModel
    word_counts: dict[str, int]
    strata: tuple[str, ...]
    arrays_digest: str = ""


@dataclass(frozen=True)
class Reference:
    """Everything that traffic is compared with; arrays in the order of the rows."""

    meta: ReferenceMeta
    frozen: Frozen
    scores: Array  # (n, n_scores)
    losses: Array  # (n,) of labelled rows of the training anchor, 0 to 1
    strata: Array  # (n,) index into meta.strata
    costs: Array  # of words, for vectors of rows without embeddings
    cells: Cells

    @functools.cached_property
    def digest(self) -> str:
        """Digest of all of it."""
        return value_digest(self.meta.model_dump(mode="json"))

    @functools.cached_property
    def strata_names(self) -> Array:
        """The stratum of each row, (n,) str."""
        return np.array(self.meta.strata, dtype=str)[self.strata]

    def vectors(self, rows: ScoredRows) -> Array:
        """Return the rows' vectors in the space of the cells: embeddings, or hashed words."""
        return _vectors(rows, self.frozen, self.costs)


@dataclass(frozen=True)
class Labelled:
    """The truth of held-out rows: losses (n,), and the answers where these are labels."""

    losses: Array
    truth: Sequence[str] | None = None
    labels: tuple[str, ...] = ()


def make_reference(
    rows: ScoredRows,
    labelled: Labelled,
    frozen: Frozen,
    *,
    checkpoint_digest: str,
    dataset_digest: str,
    strata: Sequence[str] | None = None,
    seed: int = 0,
) -> Reference:
    """Return the reference of a champion on labelled rows that it never learnt from.

    Repeated texts are taken out, as they are from the traffic.

    Raises
    ------
    DataError
        If there are no rows.
    """
    if not len(rows):
        raise _no_rows()
    kept = first_places(rows.texts)
    rows, labelled = take(rows, kept), _take_labels(labelled, kept)
    named = ["" for _ in range(len(rows))] if strata is None else [strata[i] for i in kept]
    names, places = np.unique(np.asarray(named, dtype=str), return_inverse=True)
    costs = word_costs(rows.texts)
    vectors = _vectors(rows, frozen, costs)
    cells = fit_cells(vectors, rows.texts, labelled.losses, np.random.default_rng(seed))
    meta = ReferenceMeta(
        anchor="training",
        checkpoint_digest=checkpoint_digest,
        dataset_digest=dataset_digest,
        n=len(rows),
        names=frozen.names(),
        answers=frozen.answers,
        labels=labelled.labels,
        cell_names=cells.names,
        reach=cells.reach,
        harm=_fitted_harm(rows, labelled),
        word_counts=word_counts(rows.texts),
        strata=tuple(names.tolist()),
    )
    scores = score_rows(rows, frozen)
    return _sealed(Reference(meta, frozen, scores, labelled.losses, places, costs, cells))


def _no_rows() -> DataError:
    return DataError(
        "a reference of 0 rows",
        expected="held-out rows that the champion was tested on",
        fix="holdfast prepare, then holdfast train",
    )


def _vectors(rows: ScoredRows, frozen: Frozen, costs: Array) -> Array:
    """Return the embeddings of rows (of none: zeros), or vectors of their words without any."""
    if frozen.neighbours is not None and rows.vectors is not None:
        return np.nan_to_num(np.asarray(rows.vectors, dtype=np.float32))
    return text_vectors(rows.texts, costs)


def _fitted_harm(rows: ScoredRows, labelled: Labelled) -> HarmModel:
    """Return what foretells the loss of a row, from its answer too where one label is right."""
    answers = None
    if labelled.truth is not None and labelled.labels:
        answers = (labelled.labels, labelled.truth, rows.predicted)
    return fit_harm_model(
        np.nan_to_num(np.asarray(rows.confidence, dtype=np.float64)),
        labelled.losses,
        rows.probabilities,
        answers,
    )


def accept(
    reference: Reference, rows: ScoredRows, *, current_digest: str, strata: Sequence[str]
) -> Reference:
    """Return the reference with an accepted window in place of its rows.

    Fitted scores, cells and the base risk stay those of the training: the line of harm never moves.
    """
    names, places = np.unique(np.asarray(strata, dtype=str), return_inverse=True)
    meta = reference.meta.model_copy(
        update={
            "anchor": "accepted",
            "dataset_digest": current_digest,
            "n": len(rows),
            "strata": tuple(names.tolist()),
        }
    )
    scores = score_rows(rows, reference.frozen)
    return _sealed(replace(reference, meta=meta, scores=scores, strata=places))


def write_reference(directory: Path, reference: Reference) -> None:
    """Write a reference, whole or not at all: JSON, and a NumPy archive without objects."""
    with atomic_directory(directory) as temporary:
        np.savez_compressed(temporary / _ARRAYS, allow_pickle=False, **_arrays(reference))
        content = {
            "files": {_ARRAYS: file_digest(temporary / _ARRAYS)},
            "meta": reference.meta.model_dump(mode="json"),
        }
        (temporary / _META).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def read_reference(directory: Path) -> Reference:
    """Return the reference in a directory.

    Raises
    ------
    DataError
        If it is missing, or not what was written.
    """
    try:
        content = json.loads((directory / _META).read_text(encoding="utf-8"))
        if file_digest(directory / _ARRAYS) != content["files"][_ARRAYS]:
            raise _damaged(directory, f"{_ARRAYS} has changed since it was written")
        meta = ReferenceMeta.model_validate(content["meta"])
        with np.load(directory / _ARRAYS, allow_pickle=False) as held:
            arrays = {name: held[name] for name in held.files}
    except (OSError, ValueError, KeyError) as error:
        raise _damaged(directory, str(error)) from error
    frozen = Frozen(arrays["trigram_cost"], meta.answers, arrays.get("neighbours"))
    cells = Cells(
        arrays["centres"], arrays["counts"], meta.cell_names, meta.reach, arrays["cell_risks"]
    )
    parts = (arrays["scores"], arrays["losses"], arrays["strata"], arrays["costs"])
    return Reference(meta, frozen, *parts, cells)


def first_places(texts: Sequence[str]) -> list[int]:
    """Return the places of the first row of each text, folded in case and white space."""
    first: dict[str, int] = {}
    for place, text in enumerate(texts):
        first.setdefault(" ".join(text.lower().split()), place)
    return list(first.values())


def take(rows: ScoredRows, places: Sequence[int]) -> ScoredRows:
    """Return the rows at some places."""
    chosen = np.asarray(places, dtype=np.int64)
    return ScoredRows(
        [rows.texts[i] for i in places],
        [rows.predicted[i] for i in places],
        np.asarray(rows.confidence)[chosen],
        None if rows.probabilities is None else rows.probabilities[chosen],
        None if rows.vectors is None else rows.vectors[chosen],
    )


def _take_labels(labelled: Labelled, places: Sequence[int]) -> Labelled:
    truth = None if labelled.truth is None else [labelled.truth[i] for i in places]
    return Labelled(np.asarray(labelled.losses)[list(places)], truth, labelled.labels)


def _arrays(reference: Reference) -> dict[str, Array]:
    arrays = {
        "scores": reference.scores,
        "losses": reference.losses,
        "strata": reference.strata,
        "costs": reference.costs,
        "trigram_cost": reference.frozen.trigram_cost,
        "centres": reference.cells.centres,
        "counts": reference.cells.counts,
        "cell_risks": reference.cells.risks,
    }
    if reference.frozen.neighbours is not None:
        arrays["neighbours"] = reference.frozen.neighbours
    return arrays


def _sealed(reference: Reference) -> Reference:
    """Return the reference with the digest of its arrays, which its own digest covers."""
    import hashlib

    content = hashlib.sha256()
    for name, array in sorted(_arrays(reference).items()):
        content.update(f"{name}{array.dtype.str}{array.shape}".encode())
        content.update(np.ascontiguousarray(array).tobytes())
    meta = reference.meta.model_copy(update={"arrays_digest": content.hexdigest()})
    return replace(reference, meta=meta)


def _damaged(directory: Path, why: str) -> DataError:
    return DataError(
        f"the reference in {directory} cannot be read: {why}",
        expected="a reference as monitoring writes it",
        fix=f"remove {directory} and run the command again; it is made anew",
    )
