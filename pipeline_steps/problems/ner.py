"""Named entities: a sentence of words, a BIO2 tag for each.

An example's text is its words joined by one blank; its target is
``{"tokens": [...], "tags": [...]}``.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pipeline_steps.fields import as_strings
from pipeline_steps.problems.entities import as_bio2, entities, is_tag, types_in
from pipeline_steps.problems.problem import Content, Field, Noise
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


class Ner:
    """Rows of words with a tag each."""

    name = "ner"
    has_label = False
    min_labels = 1
    target_is_input = False
    keeps_texts_together = False
    repair = "tags_rewritten"
    flaws: Mapping[str, str] = {
        "target_missing": "target",
        "lengths_differ": "target",
        "token_empty": "target",
        "tag_malformed": "target",
    }
    inputs = (Field("text", required=False), Field("tokens", "strings", required=False))
    outputs = (
        Field("tokens", "strings"),
        Field("tags", "strings"),
        Field("entities"),
        Field("score", "double"),
    )

    def read(self, value: Callable[[str], Any]) -> Content:
        """Return words and tags of a raw row, tags of another scheme rewritten as BIO2."""
        tokens = as_strings("tokens", value("tokens"))
        tags = as_strings("tags", value("tags"))
        if tokens is None or tags is None:
            return Content(None if tokens is None else " ".join(tokens))
        written, sound = tags, all(map(is_tag, tags))
        if sound:
            tags = as_bio2(tags)
        return Content(
            " ".join(tokens), target=target_of(tokens, tags), repaired=sound and tags != written
        )

    def find_flaws(self, row: Mapping[str, Any]) -> Sequence[str]:
        """Return what is wrong with the words and tags of an example."""
        if row["target"] is None:
            return ("target_missing",)
        tokens, tags = tokens_and_tags(row["target"])
        checks = {
            "lengths_differ": len(tokens) != len(tags),
            "token_empty": not all(token.strip() for token in tokens),
            "tag_malformed": not all(map(is_tag, tags)) or as_bio2(tags) != tags,
        }
        return [reason for reason, wrong in checks.items() if wrong]

    def labels_in(
        self,
        labels: Iterable[str | None],  # noqa: ARG002 - the protocol
        targets: Iterable[str | None],
    ) -> Iterable[str]:
        """Return the type of each entity."""
        for target in targets:
            if target is not None:
                yield from types_in(tokens_and_tags(target)[1])

    def noisy(self, row: Mapping[str, Any], noise: Noise) -> dict[str, Any]:
        """Return the row with noise word by word; a word that noise would empty is kept."""
        tokens, tags = tokens_and_tags(row["target"])
        changed = [
            token if not (new := noise(token, f"token{place}").strip()) else new
            for place, token in enumerate(tokens)
        ]
        return {**row, "text": " ".join(changed), "target": target_of(changed, tags)}

    def attackable(self, row: Mapping[str, Any], change: Noise) -> dict[str, Any]:
        """Return the row with words changed; each keeps its tag."""
        return self.noisy(row, change)

    def named_places(self, row: Mapping[str, Any]) -> frozenset[str]:
        """Return the places of the words of entities."""
        _, tags = tokens_and_tags(row["target"])
        return frozenset(f"token{place}" for place, tag in enumerate(tags) if tag != "O")

    def noisy_end(self, row: Mapping[str, Any], noise: Noise) -> dict[str, Any]:
        """Return the row with fewer words, or with more that are no entity's; one at least is left.

        Tags are cut with their words, and an entity may be.
        """
        tokens, tags = tokens_and_tags(row["target"])
        text = " ".join(tokens)
        changed = noise(text, "text")
        ends = itertools.accumulate(tokens, lambda end, token: end + 1 + len(token), initial=-1)
        kept = max(1, sum(end <= len(changed) for end in list(ends)[1:]))
        added = changed[len(text) :].split()
        tokens, tags = [*tokens[:kept], *added], [*tags[:kept], *["O"] * len(added)]
        return {**row, "text": " ".join(tokens), "target": target_of(tokens, tags)}

    def request(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the words of an example."""
        return {"tokens": tokens_and_tags(row["target"])[0]}

    def example(self, request: Mapping[str, Any]) -> Content:
        """Return the words of a request; a text is cut at its blanks."""
        tokens = request.get("tokens")
        words = request["text"].split() if tokens is None else [str(token) for token in tokens]
        return Content(" ".join(words), target=target_of(words, ["O"] * len(words)))

    def answer(self, predicted: str) -> dict[str, Any]:
        """Return the tags."""
        return {"tags": json.loads(predicted)}

    def statistics(self, truth: Sequence[str], predicted: Sequence[str]) -> Statistics:
        """Return entity and tag counts of each sentence; both are JSON lists of tags."""
        pairs = [(json.loads(t), json.loads(p)) for t, p in zip(truth, predicted, strict=True)]
        kinds = sorted({kind for pair in pairs for tags in pair for kind in types_in(tags)})
        counts = entity_counts(pairs, kinds)
        tokens = np.array(
            [(sum(a == b for a, b in zip(t, p, strict=True)), len(t)) for t, p in pairs]
        )
        return Statistics(
            counts=beside(counts, tokens.reshape(-1, 2)),
            correct=np.array([t == p for t, p in pairs], dtype=bool),
            metrics=lambda sums, _: _metrics(sums, len(kinds)),
            classes=class_rows(kinds, *by_name(counts.sum(axis=0), len(kinds))),
            tags=_tag_rows(pairs),
            confusion=_confusions(pairs),
            shares=("sentence_accuracy",),
            averages=("entity_f1", "entity_precision", "entity_recall", "macro_f1"),
        )


def target_of(tokens: Sequence[str], tags: Sequence[str]) -> str:
    """Return words and tags as an example keeps them."""
    return json.dumps({"tokens": list(tokens), "tags": list(tags)}, ensure_ascii=False)


def tokens_and_tags(target: str) -> tuple[list[str], list[str]]:
    """Return words and tags of an example's target."""
    content = json.loads(target)
    return content["tokens"], content["tags"]


def entity_counts(
    pairs: Sequence[tuple[Sequence[str], Sequence[str]]], kinds: Sequence[str]
) -> Any:
    """Return for each sentence and type: entities found exactly, true ones, predicted ones.

    ``pairs`` are true and predicted tags of each sentence, ``kinds`` the types that occur; the form
    is that of :func:`agreement_counts`.
    """
    spans = [(set(entities(true)), set(entities(found))) for true, found in pairs]
    return agreement_counts(spans, kinds, lambda span: span[0])


def entity_f1(pairs: Sequence[tuple[Sequence[str], Sequence[str]]]) -> dict[str, float]:
    """Return micro (``entity_f1``) and macro F1 over the entities of all sentences."""
    kinds = sorted({kind for pair in pairs for tags in pair for kind in types_in(tags)})
    hits, support, assigned = by_name(entity_counts(pairs, kinds).sum(axis=0), len(kinds))
    micro = ratio(2.0 * hits.sum(), support.sum() + assigned.sum())
    macro = ratio(2.0 * hits, support + assigned)
    return {"entity_f1": float(micro), "macro_f1": float(macro.mean()) if kinds else 0.0}


def _metrics(sums: Array, n_kinds: int) -> dict[str, Array]:
    """Return the metrics of summed counts (w, 3 n_kinds + 2); without entities F1 is undefined."""
    hits, support, assigned = by_name(sums, n_kinds)
    present = (support + assigned) > 0
    f1 = ratio(2.0 * hits, support + assigned)
    undefined = float("nan")
    hit, true, found = hits.sum(axis=1), support.sum(axis=1), assigned.sum(axis=1)
    return {
        "entity_f1": ratio(2.0 * hit, true + found, undefined),
        "entity_precision": np.where(true + found > 0, ratio(hit, found), undefined),
        "entity_recall": np.where(true + found > 0, ratio(hit, true), undefined),
        "macro_f1": ratio((f1 * present).sum(axis=1), present.sum(axis=1), undefined),
        "token_accuracy": ratio(sums[:, -2], sums[:, -1], undefined),
    }


def _tag_rows(pairs: Sequence[tuple[list[str], list[str]]]) -> tuple[Any, ...]:
    """Return precision, recall and F1 of each tag over single words."""
    true = Counter(tag for tags, _ in pairs for tag in tags)
    found = Counter(tag for _, tags in pairs for tag in tags)
    hits = Counter(a for t, p in pairs for a, b in zip(t, p, strict=True) if a == b)
    names = sorted({*true, *found}, key=lambda tag: (tag[2:], tag))
    return class_rows(names, *(np.array([c[n] for n in names]) for c in (hits, true, found)))


def _confusions(pairs: Sequence[tuple[list[str], list[str]]]) -> tuple[Any, ...]:
    """Return which type is taken for which, over single words."""
    kinds = Counter(
        (a[2:] or a, b[2:] or b)
        for t, p in pairs
        for a, b in zip(t, p, strict=True)
        if a[2:] != b[2:]
    )
    return most_frequent(kinds)
