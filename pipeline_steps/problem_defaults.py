"""What ``params.yaml`` says of a problem where it says nothing: columns, metrics, bounds.

A default stands here, and not in the section's own model, where it depends on the problem.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

COLUMNS: dict[str, dict[str, str]] = {
    "text_classification": {"text": "text", "label": "label"},
    "multi_label_classification": {"text": "text", "labels": "labels"},
    "ner": {"tokens": "tokens", "tags": "tags"},
    "relation_extraction": {
        "text": "text",
        "label": "relation",
        "head_span": "head_span",
        "tail_span": "tail_span",
    },
    "translation": {"text": "source", "target": "target"},
    "summarisation": {"text": "document", "target": "summary"},
    "dialogue": {"messages": "messages"},
    "response_selection": {
        "messages": "messages",
        "candidates": "candidates",
        "right": "right",
    },
    "question_answering": {"context": "context", "question": "question", "answers": "answers"},
}
"""Columns that a problem needs, and what they are called where ``ingest.columns`` is silent."""
OPTIONAL_COLUMNS: dict[str, tuple[str, ...]] = {
    "text_classification": ("text_pair",),
    "multi_label_classification": ("text_pair",),
    "dialogue": ("target",),
}
COMMON_COLUMNS = ("id", "timestamp", "domain", "source", "group")
HEADLINES: dict[str, tuple[str, str]] = {
    "text_classification": ("accuracy", "macro_f1"),
    "multi_label_classification": ("micro_f1", "macro_f1"),
    "ner": ("entity_f1", "macro_f1"),
    "relation_extraction": ("relation_f1", "accuracy"),
    "question_answering": ("f1", "exact_match"),
    "translation": ("chrf", "bleu"),
    "summarisation": ("rougeL", "rouge1"),
    "dialogue": ("chrf", "bleu"),
    "response_selection": ("recall_at_1", "mrr"),
}
"""The two metrics that a report shows first; the first one decides at the gate.

They lie between 0 and 1, and more is better: charts and the worst slice rest on that.
"""
ATTACK_BOUNDS: dict[str, float] = {
    "multi_label_classification": 0.5,
    "ner": 0.5,
    "question_answering": 0.5,
    "translation": 0.2,
    "summarisation": 0.15,
    "dialogue": 0.1,
    "response_selection": 0.0,
}
"""The score of a row, by its first headline, at and below which an attack has broken it."""
ATTACK_WORDS: dict[str, Literal["all", "context", "named"]] = {
    "ner": "context",
    "relation_extraction": "context",
}
"""What an attack changes where nothing is said, if not all: another name may be of another type."""
_FLOORS = {
    "text_classification": 0.5,
    "multi_label_classification": 0.3,
    "ner": 0.3,
    "relation_extraction": 0.5,
    "question_answering": 0.4,
    "translation": 0.2,
    "summarisation": 0.15,
    "dialogue": 0.1,
    "response_selection": 0.3,
}
_OTHERS: dict[str, dict[str, Any]] = {
    "ner": {"finetune.epochs": 12, "finetune.early_stopping_patience": 4},
    "question_answering": {
        "validate.max_characters": 50_000,
        "finetune.epochs": 3,
        "finetune.learning_rate": 2e-4,
        "finetune.batch_tokens": 2_048,
        "finetune.max_length": 384,
        "finetune.stride": 96,
        "tune.space": {
            "learning_rate": {"low": 2e-5, "high": 5e-4, "log": True},
            "layer_decay": [1.0, 0.9],
        },
        "predict.batch_tokens": 8_192,
    },
    "translation": {
        "finetune.early_stopping_metric": "loss",
        "finetune.batch_tokens": 2_048,
        "predict.batch_tokens": 8_192,
    },
    "summarisation": {
        "validate.max_characters": 50_000,
        "finetune.early_stopping_metric": "loss",
        "finetune.batch_tokens": 4_096,
        "finetune.max_length": 512,
        "predict.batch_tokens": 16_384,
    },
    "dialogue": {
        "validate.max_characters": 20_000,
        "finetune.early_stopping_metric": "loss",
        "finetune.batch_tokens": 4_096,
        "finetune.max_length": 512,
        "predict.batch_tokens": 16_384,
    },
    "response_selection": {
        "validate.max_characters": 20_000,
        "finetune.epochs": 4,
        "finetune.batch_tokens": 2_048,
        "predict.batch_tokens": 8_192,
    },
}
WRITING = frozenset({"translation", "summarisation", "dialogue"})
"""Problems whose answer is a text that the model writes."""
_NOT_FOR_WRITING = {
    "head": "a model that writes has no new head that could learn alone",
    "prompt": "learnt vectors before the text do not go with the cache of decoding",
    "prefix": "learnt keys and values do not go with the cache of decoding",
}


def with_defaults(values: Any) -> Any:
    """Return the values of a ``params.yaml`` with the defaults of its problem filled in.

    What is there is left as it is, also where it is ``null`` or wrong.
    """
    if not isinstance(values, dict):
        return values
    filled = dict(values)
    for path, value in _defaults(filled.get("problem", "text_classification")).items():
        _fill(filled, path.split("."), value)
    return filled


def column_mistakes(problem: str, columns: Mapping[str, str | None]) -> list[str]:
    """Return what is wrong with ``ingest.columns`` for a problem."""
    needed = COLUMNS[problem]
    known = {*needed, *OPTIONAL_COLUMNS.get(problem, ()), *COMMON_COLUMNS}
    absent = [f"ingest.columns.{name}: {problem} needs it" for name in needed if not columns[name]]
    foreign = [
        f"ingest.columns.{name}: {problem} has no such column; it reads {', '.join(needed)}"
        for name, column in columns.items()
        if column is not None and name not in known
    ]
    return absent + foreign


def foreign_columns(problem: str) -> set[str]:
    """Return the fields of ``ingest.columns`` that only other problems read.

    Examples
    --------
    >>> sorted(foreign_columns("ner") & {"text", "tags", "question", "group"})
    ['question', 'text']
    """
    every = {
        name for columns in (*COLUMNS.values(), *OPTIONAL_COLUMNS.values()) for name in columns
    }
    return every - {*COLUMNS[problem], *OPTIONAL_COLUMNS.get(problem, ())}


def tuning_mistakes(problem: str, kind: str) -> list[str]:
    """Return what is wrong with ``finetune.tuning`` for a problem."""
    if problem not in WRITING or kind not in _NOT_FOR_WRITING:
        return []
    others = "full, top_layers, bitfit, lora, ia3, houlsby and pfeiffer"
    why = _NOT_FOR_WRITING[kind]
    return [f"finetune.tuning.kind: {kind} is not for {problem} ({why}); {others} are"]


def _defaults(problem: Any) -> dict[str, Any]:
    if problem not in COLUMNS:
        return {}  # an unknown problem is reported where the values are checked
    headline = f"test/{HEADLINES[problem][0]}"
    others = {name for of_problem in COLUMNS.values() for name in of_problem} - set(
        COLUMNS[problem]
    )
    return {
        **{f"ingest.columns.{name}": None for name in sorted(others)},
        **{f"ingest.columns.{name}": column for name, column in COLUMNS[problem].items()},
        "finetune.early_stopping_metric": HEADLINES[problem][0],
        "gate.floors": {headline: _FLOORS[problem]},
        **_OTHERS.get(problem, {}),
    }


def _fill(values: dict[str, Any], path: list[str], value: Any) -> None:
    """Set the value at a path where nothing stands; sections on the way are copied."""
    *sections, name = path
    for section in sections:
        inside = values.get(section, {})
        if not isinstance(inside, dict):  # a model, or a mistake that the check will name
            return
        values[section] = values = dict(inside)
    values.setdefault(name, value)
