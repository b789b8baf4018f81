"""Teachers and old models that cannot speak to what is trained: refused before anything is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from pipeline_steps.errors import TrainingError
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.inference.learners.language_model import start_token
from pipeline_steps.training.further import checkpoints_named
from pipeline_steps.training.material import Material
from pipeline_steps.training.objectives.teachers import refuse_other_labels
from pipeline_steps.training.teaching import OldModel

_COMPARED_TEXTS = 256
_ANSWERING = ("objective.distillation", "objective.lwf")
"""Whose answers are learnt, not only states or weights."""


def refuse_foreign_models(params: FinetuneParams, material: Material, model: Any) -> None:
    """Refuse teachers of other labels, and old models that read other token ids.

    Raises
    ------
    TrainingError
        With all that does not fit.
    """
    mistakes = [
        f"finetune.{key}: {mistake}"
        for key, path in checkpoints_named(params)
        for mistake in _mistakes(key, material.old_models[path], params, material, model)
    ]
    labels = material.labels
    if mistakes:
        raise TrainingError(
            "\n  - ".join(["checkpoints do not fit what is trained:", *mistakes]),
            expected="the tokenizer of the base"
            + (
                f", and of teachers the {len(labels)} labels of the training rows in the same "
                f"order: {', '.join(labels[:10])}"
                if labels
                else ", and texts that are read and written alike"
            ),
            fix="train teachers on these rows from a base with this tokenizer, or name others",
        )


def _mistakes(
    key: str, old: OldModel, params: FinetuneParams, material: Material, model: Any
) -> Iterator[str]:
    if key.startswith("objective.distillation"):
        yield from _said_by(lambda: refuse_other_labels(old.checkpoint.labels, material.labels))
    yield from _of_another_kind(key, old)
    texts = material.train_examples.texts[:_COMPARED_TEXTS]
    if not _reads_alike(old.tokenizer, material.tokenizer, texts):
        yield f"the tokenizer of {old.checkpoint.path} gives other token ids than that of the base"
    elif old.writes:
        yield from _written_otherwise(old, params, material, model)
        if key.startswith(_ANSWERING):
            yield from _other_width(old, model)


def _of_another_kind(key: str, old: OldModel) -> Iterator[str]:
    """Yield why a model that was tuned in an unusual way cannot be asked for this."""
    path, kind = old.checkpoint.path, old.checkpoint.parameters.get("tuning", {}).get("kind")
    if kind == "prompt" and key == "objective.hidden.teacher":
        yield f"{path} was tuned by prompt: its states hold learnt vectors beside those of the text"
    if kind == "in_context" and not key.startswith("objective.distillation"):
        yield (
            f"{path} was made by in_context: it scores words for labels and has no outputs of its "
            "own; it may be a teacher of objective.distillation"
        )


def _said_by(check: Callable[[], None]) -> Iterator[str]:
    try:
        check()
    except TrainingError as error:
        yield error.received


def _reads_alike(
    one: PreTrainedTokenizerBase, other: PreTrainedTokenizerBase, texts: Sequence[str]
) -> bool:
    if one.get_vocab() != other.get_vocab():
        return False
    first, second = (t(list(texts), verbose=False)["input_ids"] for t in (one, other))
    return bool(first == second)


def _written_otherwise(
    old: OldModel, params: FinetuneParams, material: Material, model: Any
) -> Iterator[str]:
    """Yield how a model that writes is asked otherwise than the one that is trained."""
    path, config = old.checkpoint.path, old.config
    both = (config.is_encoder_decoder, model.config.is_encoder_decoder)
    if both[0] != both[1]:
        theirs, mine = ("an encoder-decoder" if one else "a decoder alone" for one in both)
        yield f"{path} is {theirs}, and the base {mine}: they do not read the same"
    elif start_token(config) != start_token(model.config):
        yield f"the decoder of {path} begins with another token than that of the base"
    theirs = old.checkpoint.parameters.get("generation", {}).get("prefix", "")
    if theirs != params.generation.prefix:
        yield (
            f"{path} was asked with the prefix {theirs!r}, and finetune.generation.prefix is "
            f"{params.generation.prefix!r}"
        )
    if old.tokenizer.chat_template != material.tokenizer.chat_template:
        yield f"{path} was asked by another chat template than that of the base"


def _other_width(old: OldModel, model: Any) -> Iterator[str]:
    theirs, mine = (int(m.config.vocab_size) for m in (old, model))
    if theirs != mine:
        yield f"{old.checkpoint.path} chooses among {theirs} tokens, and the base among {mine}"
