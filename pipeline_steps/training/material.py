"""What a training learns from: rows, new and earlier, as token ids and targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerBase

from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.inference.examples_file import ExampleRows, read_examples
from pipeline_steps.inference.learners.catalog import get_learner
from pipeline_steps.inference.learners.learner import Learner
from pipeline_steps.inference.learners.losses import Criterion, cross_entropy_sum
from pipeline_steps.inference.tokenization import encode, load_tokenizer
from pipeline_steps.objective_params import AugmentationParams
from pipeline_steps.training.augmentation import Augmentation
from pipeline_steps.training.criterion import criterion_of
from pipeline_steps.training.data import EncodedDataset
from pipeline_steps.training.inputs import Inputs
from pipeline_steps.training.replaying import earlier_examples, labels_to_learn, with_earlier
from pipeline_steps.training.teaching import OldModel, labels_of_old_model, load_old_models


@dataclass(frozen=True)
class Material:
    """Rows to learn from and to validate on, and who reads them.

    ``problem`` has the criterion of ``finetune.loss``; ``old_models`` are the checkpoints that
    ``finetune.objective`` names, by path.
    """

    problem: Learner
    tokenizer: PreTrainedTokenizerBase
    labels: tuple[str, ...]
    train: EncodedDataset
    valid: EncodedDataset
    train_examples: ExampleRows
    valid_examples: ExampleRows
    old_models: Mapping[str, OldModel]

    @property
    def pad_id(self) -> int:
        """The token that fills."""
        return int(self.tokenizer.pad_token_id)


def gathered(inputs: Inputs, device: torch.device) -> Material:
    """Return what a training learns from.

    Raises
    ------
    TrainingError
        If the rows cannot be learnt from, or a checkpoint is of another problem.
    """
    params, problem = inputs.params, _learner(inputs)
    tokenizer = load_tokenizer(inputs.base.path)
    train_examples, valid_examples = (read_examples(d.path) for d in (inputs.train, inputs.valid))
    earlier = earlier_examples(params)
    old_models = load_old_models(params, inputs.problem, problem, device)
    old_labels = labels_of_old_model(params, old_models)
    labels = labels_to_learn(problem, train_examples, earlier, old_labels)

    def encoded(rows: ExampleRows) -> EncodedDataset:
        windows = problem.encode(tokenizer, rows, params.max_length, params.stride)
        return EncodedDataset(windows, problem.targets(windows, rows, labels))

    train = encoded(train_examples)
    criterion = criterion_of(params.loss, problem.classes(train.labels), device)
    if earlier is not None:
        train = with_earlier(train, encoded(earlier), params)
    if params.augmentation is not None:
        train.augmentation = _augmentation(params.augmentation, train_examples, tokenizer, params)
    return Material(
        problem=_learner(inputs, criterion),
        tokenizer=tokenizer,
        labels=labels,
        train=train,
        valid=encoded(valid_examples),
        train_examples=train_examples,
        valid_examples=valid_examples,
        old_models=old_models,
    )


def _learner(inputs: Inputs, criterion: Criterion = cross_entropy_sum) -> Learner:
    generation = inputs.params.generation
    return get_learner(
        inputs.problem,
        criterion,
        generation=generation,
        path=inputs.base.path,
        decoded_rows=generation.validation_rows,
    )


def _augmentation(
    section: AugmentationParams,
    rows: ExampleRows,
    tokenizer: PreTrainedTokenizerBase,
    params: FinetuneParams,
) -> Augmentation:
    def token_ids(texts: Sequence[str], pairs: Sequence[str | None]) -> list[list[int]]:
        return encode(tokenizer, texts, pairs, params.max_length).token_ids

    return Augmentation(section, rows.texts, rows.pairs, token_ids, params.seed)
