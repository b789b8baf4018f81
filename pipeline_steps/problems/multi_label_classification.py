"""Multi-label classification: one or two texts with zero, one or several labels.

An example's target is ``{"labels": [...]}``, each label once, sorted. An answer is such a list.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pipeline_steps.fields import as_names, as_text
from pipeline_steps.problems.problem import Content, Field
from pipeline_steps.problems.statistics import (
    Array,
    Statistics,
    agreement_counts,
    beside,
    by_name,
    class_rows,
    most_frequent,
    ratio,
)
from pipeline_steps.problems.texts import ReadsTexts

Pair = tuple[set[str], set[str]]
"""True and predicted labels of a row."""
_NO_LABEL = "no label"


class MultiLabelClassification(ReadsTexts):
    """Rows of one or two texts under any number of labels."""

    name = "multi_label_classification"
    has_label = False
    min_labels = 1
    target_is_input = False
    keeps_texts_together = False
    repair = "labels_merged"
    flaws: Mapping[str, str] = {"target_missing": "target", "label_empty": "target"}
    remarks: Mapping[str, str] = {"labels_empty": "target", "label_with_comma": "target"}
    outputs = (Field("labels", "strings"), Field("score", "double"), Field("scores", "doubles"))

    def read(self, value: Callable[[str], Any]) -> Content:
        """Return texts and labels of a raw row; what stands there twice is merged."""
        text, pair = as_text("text", value("text")), as_text("text_pair", value("text_pair"))
        found = as_names("labels", value("labels"))
        if found is None:
            return Content(text, pair)
        return Content(text, pair, target_of(found), repaired=len(set(found)) < len(found))

    def find_flaws(self, row: Mapping[str, Any]) -> Sequence[str]:
        """Return what is wrong with the labels of an example."""
        if row["target"] is None:
            return ["target_missing"]
        return [] if all(labels_of(row["target"])) else ["label_empty"]

    def find_remarks(self, row: Mapping[str, Any]) -> Sequence[str]:
        """Return whether an example has no label, or one that may be several: worth a look."""
        found = labels_of(row["target"])
        checks = {"labels_empty": not found, "label_with_comma": any("," in name for name in found)}
        return [reason for reason, odd in checks.items() if odd]

    def labels_in(
        self,
        labels: Iterable[str | None],  # noqa: ARG002 - the protocol
        targets: Iterable[str | None],
    ) -> Iterable[str]:
        """Return every label of every row."""
        for target in targets:
            if target is not None:
                yield from labels_of(target)

    def answer(self, predicted: str) -> dict[str, Any]:
        """Return the labels."""
        return {"labels": json.loads(predicted)}

    def statistics(self, truth: Sequence[str], predicted: Sequence[str]) -> Statistics:
        """Return what each row adds, label by label; both are JSON lists of labels."""
        pairs = [
            (set(json.loads(t)), set(json.loads(p))) for t, p in zip(truth, predicted, strict=True)
        ]
        names = sorted({name for pair in pairs for labels in pair for name in labels})
        counts = agreement_counts(pairs, names, str)
        hits, both = np.array([(len(t & p), len(t) + len(p)) for t, p in pairs]).reshape(-1, 2).T
        of_row = ratio(2.0 * hits, both, 1.0)
        return Statistics(
            counts=beside(counts, of_row[:, None]),
            correct=np.array([t == p for t, p in pairs], dtype=bool),
            metrics=lambda sums, total: _metrics(sums, total, len(names)),
            classes=class_rows(names, *by_name(counts.sum(axis=0), len(names))),
            confusion=_confusions(pairs),
            shares=("subset_accuracy",),
            averages=("micro_f1", "macro_f1", "samples_f1", "micro_precision", "micro_recall"),
            lower_is_better=("hamming_loss",),
        )


def target_of(labels: Iterable[str]) -> str:
    """Return labels as an example keeps them: each once, in one order."""
    return json.dumps({"labels": sorted(set(labels))}, ensure_ascii=False)


def labels_of(target: str) -> list[str]:
    """Return the labels in an example's target."""
    return list(json.loads(target)["labels"])


def label_f1(pairs: Sequence[Pair]) -> dict[str, float]:
    """Return micro and macro F1 over the labels of all rows; 0 where there is none."""
    hits, support, assigned = (
        Counter(name for pair in pairs for name in choose(*pair))
        for choose in (set.intersection, lambda t, _: t, lambda _, p: p)
    )
    names = sorted({*support, *assigned})
    found, true, said = (np.array([c[n] for n in names]) for c in (hits, support, assigned))
    micro, macro = (
        ratio(2.0 * found.sum(), true.sum() + said.sum()),
        ratio(2.0 * found, true + said),
    )
    return {"micro_f1": float(micro), "macro_f1": float(macro.mean()) if names else 0.0}


def _metrics(sums: Array, total: Array, n_labels: int) -> dict[str, Array]:
    """Return the metrics of summed counts (w, 3 n_labels + 1); without labels F1 is undefined."""
    hits, support, assigned = by_name(sums, n_labels)
    present = (support + assigned) > 0
    f1 = ratio(2.0 * hits, support + assigned)
    undefined = float("nan")
    hit, true, found = hits.sum(axis=1), support.sum(axis=1), assigned.sum(axis=1)
    return {
        "micro_f1": ratio(2.0 * hit, true + found, undefined),
        "macro_f1": ratio((f1 * present).sum(axis=1), present.sum(axis=1), undefined),
        "samples_f1": sums[:, -1] / total,
        "micro_precision": np.where(true + found > 0, ratio(hit, found), undefined),
        "micro_recall": np.where(true + found > 0, ratio(hit, true), undefined),
        "hamming_loss": ratio(true + found - 2.0 * hit, total * n_labels),
    }


def _confusions(pairs: Sequence[Pair]) -> tuple[Any, ...]:
    """Return which labels are missed where which others are assigned, over all rows."""
    return most_frequent(
        Counter(
            (missed, wrong)
            for true, found in pairs
            if true != found
            for missed in true - found or {_NO_LABEL}
            for wrong in found - true or {_NO_LABEL}
        )
    )
