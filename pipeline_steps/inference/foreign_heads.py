"""Loads a foreign model with its head, and lets it read and answer as our own models do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from transformers import (
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from pipeline_steps.errors import CheckpointError, ConfigurationError
from pipeline_steps.inference.foreign import label_names
from pipeline_steps.inference.forward import best_device
from pipeline_steps.inference.learners.body import know_padding
from pipeline_steps.inference.learners.catalog import get_learner
from pipeline_steps.inference.learners.learner import Learner
from pipeline_steps.inference.learners.ner import NerLearner
from pipeline_steps.inference.positions import longest_input
from pipeline_steps.inference.predictor import Predictor
from pipeline_steps.inference.tokenization import be_quiet, load_tokenizer
from pipeline_steps.problem_defaults import WRITING
from pipeline_steps.problems.entities import OUTSIDE, is_tag
from pipeline_steps.problems.question_answering import ANSWER, NO_ANSWER

_USUAL_LENGTH = 512
_CLASSES = {
    "text_classification": AutoModelForSequenceClassification,
    "multi_label_classification": AutoModelForSequenceClassification,
    "ner": AutoModelForTokenClassification,
    "question_answering": AutoModelForQuestionAnswering,
}


def load_foreign(
    path: Path,
    problem: str,
    *,
    renamed: Mapping[str, str],
    max_length: int | None = None,
    unanswerable: bool = True,
    batch_tokens: int = 4_096,
) -> Predictor:
    """Return a predictor of a Hugging Face model directory, on the best device, in full precision.

    Parameters
    ----------
    path : Path
        With ``config.json``, safetensors and a fast tokenizer.
    problem : str
        What it is for.
    renamed : mapping
        The model's name of a label -> the data's.
    max_length : int, optional
        Tokens that are read; what the model can read where it is not given.
    unanswerable : bool
        Whether a question may have no answer.
    batch_tokens : int
        Tokens of a batch, padding included.

    Raises
    ------
    CheckpointError
        If weights, head or tokenizer are missing or do not fit each other.
    ConfigurationError
        If its labels are no tags and the problem is ``ner``.
    """
    be_quiet()
    tokenizer = load_tokenizer(path)
    labels: tuple[str, ...] = ()
    if problem in WRITING:
        model = get_learner(problem, path=path).load(path)
    else:
        model, labels = _with_head(path, problem, tokenizer), _labels(path, problem, renamed)
    if problem == "question_answering" and not unanswerable:
        labels = (ANSWER,)
    return Predictor(
        model.to(best_device()).eval(),
        tokenizer,
        labels,
        max_length=min(max_length or 10**9, longest_input(model, tokenizer) or _USUAL_LENGTH),
        batch_tokens=batch_tokens,
        precision="fp32",
        problem=problem,
        learner=_learner(path, problem, labels),
    )


class ReadsPairs(torch.nn.Module):
    """A model that was trained with token types, which say where the second text begins.

    They are read off the token ids: what stands behind the first separator is of the second text.
    """

    def __init__(self, model: Any, separator: int) -> None:
        super().__init__()
        self.model = model
        self.separator = separator

    def forward(self, input_ids: torch.Tensor, **inputs: Any) -> Any:
        """Return what the model returns."""
        ends = (input_ids == self.separator).long()
        types = ((ends.cumsum(dim=1) - ends) > 0).long() * inputs["attention_mask"]
        return self.model(input_ids=input_ids, token_type_ids=types, **inputs)

    def get_input_embeddings(self) -> torch.nn.Module:
        """Return the model's own table of token vectors."""
        table: torch.nn.Module = self.model.get_input_embeddings()
        return table


class SpanLogits(torch.nn.Module):
    """A model of questions whose start and end logits stand beside each other, (n, length, 2)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, **inputs: Any) -> Any:
        """Return ``logits``."""
        found = self.model(**inputs)
        return SimpleNamespace(logits=torch.stack([found.start_logits, found.end_logits], dim=-1))


def _with_head(path: Path, problem: str, tokenizer: Any) -> torch.nn.Module:
    model = _load(path, _CLASSES[problem])
    know_padding(model, tokenizer)
    if _has_token_types(model, tokenizer):
        model = ReadsPairs(model, int(tokenizer.sep_token_id))
    return SpanLogits(model) if problem == "question_answering" else model


def _load(path: Path, auto_class: Any) -> Any:
    """Return the model, all of whose weights came from the directory."""
    try:
        model, info = auto_class.from_pretrained(
            path,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{path} cannot be loaded by {auto_class.__name__}: {str(error)[:300]}",
            expected="an architecture of transformers, with weights that fit its config",
            fix="save it again with save_pretrained; code beside the weights is never run",
        ) from error
    missing = sorted(info["missing_keys"])
    if missing:
        raise CheckpointError(
            f"{path} has no weights for {', '.join(missing[:4])}",
            expected="a model that was trained with its head, not a base model",
            fix="name the directory of the fine-tuned model",
        )
    return model


def _has_token_types(model: Any, tokenizer: Any) -> bool:
    wanted = "token_type_ids" in tokenizer.model_input_names
    kinds = getattr(model.config, "type_vocab_size", 0) or 0
    return wanted and kinds > 1 and tokenizer.sep_token_id is not None


def _labels(path: Path, problem: str, renamed: Mapping[str, str]) -> tuple[str, ...]:
    if problem == "question_answering":
        return (ANSWER, NO_ANSWER)
    labels = label_names(path, renamed)
    wrong = [name for name in labels if not is_tag(name)]
    if problem == "ner" and (wrong or OUTSIDE not in labels):
        raise ConfigurationError(
            f"the model's labels are {', '.join(labels[:20])}",
            expected="tags: O, and B-TYPE or I-TYPE for each type",
            fix="name them: --label LABEL_0=O --label LABEL_1=B-person",
        )
    return labels


def _learner(path: Path, problem: str, labels: tuple[str, ...]) -> Learner:
    learner = get_learner(problem, path=path if problem in WRITING else None)
    if isinstance(learner, NerLearner):
        return replace(learner, outside=labels.index(OUTSIDE))
    return learner
