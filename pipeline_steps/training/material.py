"""What a training learns from: rows, new and earlier, as token ids and targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerBase

from pipeline_steps.inference.examples_file import ExampleRows, read_examples
from pipeline_steps.inference.learners.catalog import get_learner
from pipeline_steps.inference.learners.learner import Learner
from pipeline_steps.inference.learners.losses import Criterion, cross_entropy_sum
from pipeline_steps.objective_params import AugmentationParams
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.training.attacked_rows import read_attacked
from pipeline_steps.training.augmentation import Augmentation, Window
from pipeline_steps.training.criterion import criterion_of
from pipeline_steps.training.data import EncodedDataset
from pipeline_steps.training.inputs import Inputs
from pipeline_steps.training.normalising import tokenizer_for
from pipeline_steps.training.replaying import (
    earlier_examples,
    labels_to_learn,
    refuse_foreign_examples,
    with_earlier,
)
from pipeline_steps.training.rewording import rewordings_of
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
    tokenizer = tokenizer_for(inputs)
    train_examples, valid_examples = (read_examples(d.path) for d in (inputs.train, inputs.valid))
    refuse_foreign_examples(params, train_examples)
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
        train.augmentation = _augmentation(params.augmentation, train_examples, inputs, encoded)
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
        selector=inputs.params.selector,
        path=inputs.base.path,
        decoded_rows=generation.validation_rows,
    )


def _augmentation(
    section: AugmentationParams,
    rows: ExampleRows,
    inputs: Inputs,
    read: Callable[[ExampleRows], EncodedDataset],
) -> Augmentation:
    def windows(some: ExampleRows) -> list[list[Window]]:
        found: list[list[Window]] = [[] for _ in range(len(some))]
        encoded = read(some)
        of = getattr(encoded.encoded, "rows", range(len(encoded)))
        for place, row in enumerate(of):
            found[row].append((encoded.encoded.token_ids[place], encoded.labels[place]))
        return found

    problem = get_problem(inputs.problem)
    return Augmentation(
        section,
        rows,
        problem,
        windows,
        inputs.params.seed,
        rewordings=rewordings_of(section, inputs.base.path),
        attacked=read_attacked(section.attacked, rows, problem) if section.attacked else None,
    )
