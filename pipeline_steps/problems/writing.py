"""Problems whose answer is a text that the model writes: rows, and metrics as functions of sums.

An example's text is what is read, its target ``{"references": [...]}``: the first reference is
learnt, all of them count. What a checkpoint did with a row is ``{"text", "nll", "n_tokens"}``: what
it wrote, and how surprised it was by the first reference (nats, and tokens of its own tokenizer).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from pipeline_steps.fields import as_text, as_texts
from pipeline_steps.problems.bleu import WIDTH as BLEU_WIDTH
from pipeline_steps.problems.bleu import bleu, bleu_counts
from pipeline_steps.problems.chrf import chrf, chrf_counts
from pipeline_steps.problems.conversation import Message
from pipeline_steps.problems.problem import Content, Field, Noise
from pipeline_steps.problems.rouge import NAMES, rouge_scores
from pipeline_steps.problems.statistics import Array, Statistics, ratio

ANSWER_FLAWS: Mapping[str, str] = dict.fromkeys(
    ("target_missing", "target_empty", "target_damaged"), "target"
)
"""What can be wrong with a text that is to be written, whatever it answers."""


@dataclass(frozen=True)
class Written:
    """What a checkpoint wrote, and what the true text cost it; without one, nothing."""

    text: str
    nll: float = 0.0
    n_tokens: int = 0

    def as_json(self) -> str:
        """Return it as a predictions file keeps it."""
        return json.dumps(asdict(self), ensure_ascii=False)


@dataclass(frozen=True)
class Scorer:
    """A family of metrics: what a row adds, and what the sums over rows say."""

    names: tuple[str, ...]
    width: int
    counts: Callable[[Sequence[str], str], Sequence[float]]
    metrics: Callable[[Array, Array], dict[str, Array]]


CHRF_AND_BLEU = Scorer(
    ("chrf", "bleu"),
    18 + BLEU_WIDTH,
    lambda references, text: [*chrf_counts(references, text), *bleu_counts(references, text)],
    lambda sums, _: {"chrf": chrf(sums[:, :18]), "bleu": bleu(sums[:, 18:])},
)
ROUGE = Scorer(
    NAMES,
    len(NAMES),
    rouge_scores,
    lambda sums, total: {
        "rougeL": sums[:, 2] / total,
        "rouge1": sums[:, 0] / total,
        "rouge2": sums[:, 1] / total,
    },
)


class WritingProblem:
    """Rows of a text to read and a text to write."""

    name: ClassVar[str]
    scorer: ClassVar[Scorer]
    outputs: ClassVar[tuple[Field, ...]]
    has_label = False
    min_labels = 0
    target_is_input = False
    keeps_texts_together = True
    flaws: Mapping[str, str] = ANSWER_FLAWS
    inputs: tuple[Field, ...] = (Field("text"),)

    def read(self, value: Callable[[str], Any]) -> Content:
        """Return what is read and what is to be written of a raw row."""
        text, found = as_text("text", value("text")), as_texts("target", value("target"))
        return Content(text, target=None if found is None else target_of(found))

    def find_flaws(self, row: Mapping[str, Any]) -> Sequence[str]:
        """Return what is wrong with the text to be written."""
        return answer_flaws(None if row["target"] is None else references(row["target"]))

    def labels_in(
        self,
        labels: Iterable[str | None],  # noqa: ARG002 - the protocol
        targets: Iterable[str | None],  # noqa: ARG002
    ) -> Iterable[str]:
        """Return nothing: a text is no label."""
        return ()

    def noisy(self, row: Mapping[str, Any], noise: Noise) -> dict[str, Any]:
        """Return the row with noise in what is read; what is to be written stays.

        A text that noise would empty, or make what is to be written, stays too.
        """
        changed = {**row, "text": noise(row["text"], "text")}
        return dict(row) if not changed["text"].strip() or self.find_flaws(changed) else changed

    def noisy_end(self, row: Mapping[str, Any], noise: Noise) -> dict[str, Any]:
        """Return the row with another end of what is read; what is to be written stays."""
        return self.noisy(row, noise)

    def request(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the text of an example."""
        return {"text": row["text"]}

    def example(self, request: Mapping[str, Any]) -> Content:
        """Return the text of a request."""
        return Content(request["text"])

    def answer(self, predicted: str) -> dict[str, Any]:
        """Return what was written."""
        return {self.outputs[0].name: json.loads(predicted)["text"]}

    def statistics(self, truth: Sequence[str], predicted: Sequence[str]) -> Statistics:
        """Return what each row adds to overlap, exact match and perplexity."""
        wanted = [json.loads(row) for row in truth]
        written = [Written(**json.loads(row)) for row in predicted]
        return writing_statistics(wanted, written, self.scorer)


def writing_statistics(
    wanted: Sequence[Sequence[str]], written: Sequence[Written], scorer: Scorer
) -> Statistics:
    """Return the statistics of texts; ``wanted`` are the references of each."""
    rows = [
        [w.nll, w.n_tokens, *scorer.counts(r, w.text)] for r, w in zip(wanted, written, strict=True)
    ]
    correct = [w.text in r for r, w in zip(wanted, written, strict=True)]
    return Statistics(
        counts=np.array(rows, dtype=float).reshape(-1, 2 + scorer.width),
        correct=np.array(correct, dtype=bool),
        metrics=lambda sums, total: {
            **scorer.metrics(sums[:, 2:], total),
            "perplexity": _perplexity(sums[:, 0], sums[:, 1]),
        },
        shares=("exact_match",),
        averages=scorer.names,
        lower_is_better=("perplexity",),
    )


def answer_flaws(found: Sequence[str] | None) -> list[str]:
    """Return the reasons (of ``ANSWER_FLAWS``) for which references cannot be used."""
    checks = {
        "target_missing": found is None,
        "target_empty": found is not None and not (found and all(text.strip() for text in found)),
        "target_damaged": any("\ufffd" in text for text in found or ()),
    }
    return [reason for reason, wrong in checks.items() if wrong]


def target_of(found: Sequence[str]) -> str:
    """Return references as an example keeps them."""
    return json.dumps({"references": list(found)}, ensure_ascii=False)


def references(target: str) -> list[str]:
    """Return the references in an example's target."""
    return list(json.loads(target)["references"])


def context(target: str) -> list[Message] | None:
    """Return the conversation in an example's target; ``None`` where its text is all there is."""
    found = json.loads(target).get("messages")
    return None if found is None else [Message(m["role"], m["content"]) for m in found]


def _perplexity(nll: Array, n_tokens: Array) -> Array:
    """Return exp(nats a token) over all references; undefined without any."""
    with np.errstate(over="ignore"):
        return np.exp(ratio(nll, n_tokens, float("nan")))
