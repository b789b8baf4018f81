"""What the surest mistakes of a text classifier leaned on, word by word."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.prepare_data import Datasets
from pipeline_steps.evaluation.attacks.passage import Passage, Row
from pipeline_steps.finding_types import Leaning
from pipeline_steps.predictions_file import AnyTable, read_predictions
from pipeline_steps.types import Checkpoint, Predictions

if TYPE_CHECKING:
    from pipeline_steps.inference.predictor import Predictor
    from pipeline_steps.inference.readings import Reading

_SHOWN = 8
_BETWEEN = " / "
Stretch = tuple[int, int, int, str]
"""A word, or what stands between two: in which text, from where to where, and its characters."""


def explain_failures(
    datasets: Datasets, checkpoint: Checkpoint, predictions: Predictions
) -> tuple[Leaning, ...]:
    """Return the surest wrong answers on the test set, with the words that each leaned on.

    Text classifiers with weights for labels alone: others have no gradient of one label.
    """
    from pipeline_steps.inference.predictor import Predictor
    from pipeline_steps.inference.prompted.storage import is_prompted

    if checkpoint.problem != "text_classification" or is_prompted(checkpoint.path):
        return ()
    answers = surest_mistakes(read_predictions(predictions))
    if not answers:
        return ()
    rows = _rows(datasets.test.path, answers)
    return leanings(Predictor.from_checkpoint(checkpoint.path), rows, answers)


def surest_mistakes(table: AnyTable) -> dict[str, tuple[str, float]]:
    """Return row -> wrong answer and how sure it was, of the surest ones, surest first."""
    wrong = [i for i in range(len(table.truth)) if table.predicted[i] != table.truth[i]]
    wrong.sort(key=lambda i: (-float(table.score[i]), str(table.example_ids[i])))
    return {
        str(table.example_ids[i]): (str(table.predicted[i]), float(table.score[i]))
        for i in wrong[:_SHOWN]
    }


def leanings(
    predictor: Predictor, rows: Mapping[str, Row], answers: Mapping[str, tuple[str, float]]
) -> tuple[Leaning, ...]:
    """Return what each wrong answer to a row leaned on, where it should have been the true label.

    The texts are shown as the model reads them.
    """
    from pipeline_steps.inference.attribution import word_attributions
    from pipeline_steps.inference.tokenization import normaliser_of

    normalised = normaliser_of(predictor.tokenizer) or str
    read = [_normalised(rows[name], normalised) for name in answers]
    cut = [_stretches(Passage.of(row, predictor.problem)) for row in read]
    readings = [
        _reading(row, stretches, predictor.labels, said)
        for row, stretches, (said, _) in zip(read, cut, answers.values(), strict=True)
    ]
    found = word_attributions(predictor, readings)
    return tuple(
        Leaning(
            example_id=name,
            truth=rows[name]["label"],
            predicted=said,
            confidence=sure,
            stretches=_weighed(stretches, one.words),
            blank=one.blank,
        )
        for (name, (said, sure)), stretches, one in zip(answers.items(), cut, found, strict=True)
    )


def _rows(path: Path, names: Mapping[str, Any]) -> dict[str, Row]:
    import pyarrow.parquet as pq

    every = pq.read_table(path).to_pylist()
    return {str(row["example_id"]): row for row in every if str(row["example_id"]) in names}


def _normalised(row: Row, normalised: Callable[[str], str]) -> Row:
    texts = {name: row[name] for name in ("text", "text_pair") if row[name] is not None}
    return {**row, **{name: normalised(text) for name, text in texts.items()}}


def _stretches(passage: Passage) -> list[Stretch]:
    """Return the one or two texts of a row cut at their words."""
    found: list[Stretch] = []
    for which, (place, text) in enumerate(passage.pieces.items()):
        at = 0
        for word in passage.words:
            if word.place == place:
                found += [(which, at, word.start, text[at : word.start])]
                found += [(which, word.start, word.end, word.text)]
                at = word.end
        found.append((which, at, len(text), text[at:]))
    return [stretch for stretch in found if stretch[3]]


def _reading(row: Row, stretches: Sequence[Stretch], labels: tuple[str, ...], said: str) -> Reading:
    from pipeline_steps.inference.readings import Reading

    return Reading(
        text=row["text"],
        pair=row["text_pair"],
        label=labels.index(said),
        words=[stretch[:3] for stretch in stretches],
        rival=labels.index(row["label"]) if row["label"] in labels else None,
    )


def _weighed(stretches: Sequence[Stretch], weights: Any) -> tuple[tuple[str, float], ...]:
    """Return the stretches, each with its share of the heaviest weight; texts are parted."""
    heaviest = max((abs(float(weight)) for weight in weights), default=0.0) or 1.0
    found: list[tuple[str, float]] = []
    before = 0
    for (which, _, _, text), weight in zip(stretches, weights, strict=True):
        found += [(_BETWEEN, 0.0)] if which != before else []
        found.append((text, float(weight) / heaviest))
        before = which
    return tuple(found)
