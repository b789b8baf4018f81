"""Small workspaces made by ``init_workspace``, with a tiny random base model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml
from builders import write_jsonl
from tiny_models import WORDS

from flows.commands.init import init_workspace

N_ROWS = 400
_NEUTRAL = [word for word in WORDS if word not in ("good", "bad")]
_TURNED = [word for word in _NEUTRAL if word not in ("film", "loan")]
_FINETUNE = {
    "epochs": 2,
    "learning_rate": 3e-3,
    "batch_tokens": 512,
    "precision": "fp32",
    "max_length": 32,
}


def sentiment_rows(n: int = N_ROWS, seed: int = 0) -> list[dict[str, Any]]:
    """Return rows whose label is whether "good" or "bad" is among their words."""
    generator = np.random.default_rng(seed)
    content = []
    for index in range(n):
        words = generator.choice(_NEUTRAL, generator.integers(3, 12)).tolist()
        words.insert(int(generator.integers(len(words) + 1)), ("good", "bad")[index % 2])
        text = f"{' '.join(words)} {seed}-{index}"
        content.append({"text": text, "label": ("plus", "minus")[index % 2]})
    return content


def shifted_rows(n: int = 240, seed: int = 1) -> list[dict[str, Any]]:
    """Return rows that say plus and minus in words that meant nothing before."""
    generator = np.random.default_rng(seed)
    found = []
    for index in range(n):
        words = generator.choice(_TURNED, generator.integers(3, 12)).tolist()
        words.insert(int(generator.integers(len(words) + 1)), ("film", "loan")[index % 2])
        text = f"{' '.join(words)} {seed}-{index}"
        found.append({"text": text, "label": ("plus", "minus")[index % 2]})
    return found


def make_workspace(root: Path, base: Path, *, rows: list[dict[str, Any]] | None = None) -> Path:
    """Return a new workspace whose base model is ``base``; a run takes seconds."""
    file = write_jsonl(root.parent / f"{root.name}.jsonl", rows or sentiment_rows())
    init_workspace(root, problem="text_classification", files={"train": file})
    change_params(root, finetune={"base_model": str(base), **_FINETUNE})
    change_params(
        root, evaluate={"bootstrap_resamples": 100}, gate={"floors": {"test/accuracy": 0.3}}
    )
    return root


def change_params(root: Path, **sections: dict[str, Any]) -> None:
    """Set keys in sections of ``params.yaml``."""
    file = root / "params.yaml"
    values = yaml.safe_load(file.read_text(encoding="utf-8"))
    for section, changes in sections.items():
        values[section] |= changes
    file.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
