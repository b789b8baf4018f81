"""What earlier data needed of the weights: the Fisher information, estimated once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline_steps.digests import file_digest, value_digest
from pipeline_steps.errors import TrainingError
from pipeline_steps.generation_params import GenerationParams
from pipeline_steps.inference.examples_file import read_examples
from pipeline_steps.inference.forward import pad
from pipeline_steps.inference.learners.carried_head import output_layer
from pipeline_steps.inference.learners.catalog import get_learner
from pipeline_steps.objective_params import EwcParams
from pipeline_steps.training import processes
from pipeline_steps.training.objectives.penalties import EWC, estimate_fisher
from pipeline_steps.training.objectives.step import Step
from pipeline_steps.training.teaching import OldModel

_DRAWN_LABELS = ("text_classification",)
"""Where one row has one label. Elsewhere the rows' own answers are taken: the empirical Fisher."""


def consolidated(
    params: EwcParams, old: OldModel, model: Any, *, work: Path, pad_id: int, seed: int
) -> EWC:
    """Return the penalty on leaving what an old model needs for its data.

    Of a head with other outputs than the old model's, those that both have are held, by name.

    Parameters
    ----------
    params : EwcParams
        Earlier examples and weight.
    old : OldModel
        What learnt them.
    model : Module
        What will be trained, its weights not wrapped.
    work : Path
        Where the estimate is kept for a training that goes on after a kill.
    pad_id, seed : int
        Of the tokenizer, and of the choice of rows and labels.

    Raises
    ------
    TrainingError
        If the two models have no weights in common.
    """
    file = work / f"ewc-{_key(params, old, seed)}.safetensors"
    if not processes.led(file.exists):
        processes.led(lambda: _estimated(params, old, pad_id, seed).save(file))
    whole = _placed(EWC.load(file, params.weight), old, model)
    names = _in_common(old, model, whole)
    if not names:
        raise TrainingError(
            f"finetune.objective.ewc: no weight of {old.checkpoint.path} has the name and shape of "
            "one that learns",
            expected="a checkpoint of the same architecture as finetune.base_model",
            fix="name that checkpoint as finetune.base_model too, or take ewc out",
        )
    device = next(model.parameters()).device  # once, and not in each step
    anchor, fisher = ({n: of[n].to(device) for n in names} for of in (whole.anchor, whole.fisher))
    return EWC(anchor, fisher, params.weight)


def _key(params: EwcParams, old: OldModel, seed: int) -> str:
    digests = [old.checkpoint.digest, file_digest(Path(params.examples))]
    return value_digest([*digests, params.n_rows, seed])[:16]


def _estimated(params: EwcParams, old: OldModel, pad_id: int, seed: int) -> EWC:
    is_drawn = old.checkpoint.problem in _DRAWN_LABELS
    generator = torch.Generator().manual_seed(seed) if is_drawn else None
    old.model.requires_grad_(True)  # noqa: FBT003 - torch's signature
    fisher = estimate_fisher(_rows(params, old, pad_id, seed, is_drawn=is_drawn), generator)
    anchor = {name: weight.detach() for name, weight in old.model.named_parameters()}
    old.model.requires_grad_(False)  # noqa: FBT003
    return EWC(anchor, fisher, params.weight)


def _rows(
    params: EwcParams, old: OldModel, pad_id: int, seed: int, *, is_drawn: bool
) -> Iterator[Step]:
    """Yield one step for each of some random rows of the earlier examples."""
    settings = old.checkpoint.parameters
    learner = get_learner(
        old.checkpoint.problem,
        generation=GenerationParams.model_validate(settings.get("generation", {})),
        path=old.checkpoint.path,
    )
    examples = read_examples(Path(params.examples))
    encoded = learner.encode(
        old.tokenizer, examples, settings.get("max_length", 256), settings.get("stride", 64)
    )
    targets: list[Any] = [0] * len(encoded)  # a drawn label takes the place of the row's own
    if not is_drawn:
        targets = learner.targets(encoded, examples, old.checkpoint.labels)
    device = next(old.model.parameters()).device
    order = np.random.default_rng(seed).permutation(len(encoded))[: params.n_rows]
    for row in order.tolist():
        labels = learner.as_tensor([targets[row]])
        inputs = {**pad([encoded.token_ids[row]], pad_id), **learner.more_inputs(labels, pad_id)}
        inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
        yield Step(old.model, inputs, labels.to(device), learner, n_items=1)


def _placed(known: EWC, old: OldModel, model: Any) -> EWC:
    """Return what is known of the outputs where the new model has them; new ones are free."""
    theirs, mine = (list(m.config.id2label.values()) for m in (old, model))
    layer = output_layer(model, len(mine))
    if old.writes or theirs == mine or layer is None:
        return known
    anchor, fisher = dict(known.anchor), dict(known.fisher)
    for name in (f"{layer[0]}.{part}" for part, _ in layer[1].named_parameters()):
        if name in fisher and len(fisher[name]) == len(theirs):
            anchor[name], fisher[name] = (_by_name(t[name], theirs, mine) for t in (anchor, fisher))
    return EWC(anchor, fisher, known.weight)


def _by_name(rows: torch.Tensor, theirs: Sequence[str], mine: Sequence[str]) -> torch.Tensor:
    """Return the row of each of ``mine``; zeros where it is not among ``theirs``."""
    both = [name for name in mine if name in theirs]
    placed = rows.new_zeros((len(mine), *rows.shape[1:]))
    placed[[mine.index(name) for name in both]] = rows[[theirs.index(name) for name in both]]
    return placed


def _in_common(old: OldModel, model: Any, known: EWC) -> list[str]:
    """Return the weights that both models have."""
    same_outputs = old.writes or old.config.id2label == model.config.id2label
    by_name = same_outputs or output_layer(model, len(model.config.id2label)) is not None
    body = f"{model.base_model_prefix}."
    return [
        name
        for name, weight in model.named_parameters()
        if weight.requires_grad
        and name in known.fisher
        and known.fisher[name].shape == weight.shape
        and (by_name or name.startswith(body))
    ]
