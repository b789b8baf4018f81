"""A small model of each problem with random weights, as a service holds it."""

from __future__ import annotations

from pathlib import Path

import torch
from builders import structured_examples
from tiny_models import WORDS, save_tiny_model
from tiny_writers import save_tiny_writer

from flows.serving import LoadedVersion
from pipeline_steps.generation_params import GenerationParams
from pipeline_steps.inference.examples_file import rows_of
from pipeline_steps.inference.learners.catalog import get_learner
from pipeline_steps.inference.predictor import Predictor
from pipeline_steps.inference.tokenization import load_tokenizer
from pipeline_steps.problems.problem import Content

WRITERS = {"translation": "t5", "summarisation": "gpt2", "dialogue": "llama"}


def predictor_of(problem: str, path: Path) -> Predictor:
    """Return a predictor with random weights."""
    if problem in WRITERS:
        save_tiny_writer(path, WRITERS[problem], words=WORDS, chat=problem == "dialogue")
    else:
        save_tiny_model(path)
    learner = get_learner(problem, generation=GenerationParams(max_new_tokens=4), path=path)
    labels = ("a", "b")
    if problem not in ("text_classification", *WRITERS, "response_selection"):
        examples = structured_examples(problem, 8)
        rows = rows_of([Content(r["text"], r["text_pair"], r["target"]) for r in examples])
        rows.labels[:] = [row["label"] or "" for row in examples]
        labels = learner.labels_of(rows)
    torch.manual_seed(1)
    model, _ = learner.build(path, labels)
    return Predictor(
        model.eval(), load_tokenizer(path), labels, max_length=48, batch_tokens=256,
        precision="fp32", problem=problem, learner=learner, stride=8,
    )  # fmt: skip


class OneVersion:
    """A registry that holds one model."""

    def __init__(self, model: LoadedVersion) -> None:
        self.model = model

    def champion(self) -> int | None:
        return self.model.version

    def challenger(self) -> int | None:
        return None

    def load(self, number: int) -> LoadedVersion:
        assert number == self.model.version
        return self.model
