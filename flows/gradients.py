"""What gradients of a model are asked of: rows, the label that tells the way, and their words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pipeline_steps.evaluation.attacks.passage import Passage, Row

if TYPE_CHECKING:
    from pipeline_steps.inference.predictor import Predictor
    from pipeline_steps.inference.readings import Reading

_PLACES = {"text": 0, "text_pair": 1}
Places = Sequence[tuple[str, int, int]]
"""Of each word the piece of the row that it stands in, and from where to where."""


def reading_of(
    row: Row, places: Places, labels: tuple[str, ...], target: str | None = None
) -> Reading:
    """Return how a row is read for gradients: away from its own label, or towards a target."""
    from pipeline_steps.inference.readings import Reading

    return Reading(
        text=row["text"],
        pair=row["text_pair"],
        label=labels.index(row["label"] if target is None else target),
        words=[(_PLACES[place], start, end) for place, start, end in places],
        wanted=target is not None,
    )


def saliencies(
    predictor: Predictor, passages: Sequence[Passage], target: str | None = None
) -> list[Any]:
    """Return for each word of rows how much it matters to a label, as a gradient says."""
    from pipeline_steps.inference.saliency import word_saliencies

    readings = [reading_of(p.row, p.spans({}), predictor.labels, target) for p in passages]
    return word_saliencies(predictor, readings)
