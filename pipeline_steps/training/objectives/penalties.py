"""Penalties on weights that leave where they were: L2-SP and EWC.

They do not depend on the rows, so an accumulated step adds them up batch by batch, each time
divided by the number of batches. Beside adapters they have no object: the weights that were there
before are frozen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch

from pipeline_steps.errors import TrainingError
from pipeline_steps.files import atomic_file
from pipeline_steps.training.objectives.step import Step, Tensors, unwrapped

_ANCHOR = "anchor/"
_FISHER = "fisher/"


@dataclass(frozen=True)
class L2SP:
    """``alpha/2 ||w - w0||^2`` over old weights plus ``beta/2 ||w||^2`` over new ones.

    Li, Grandvalet, Davoine 2018 (ICML, arXiv 1802.01483), equation 3. It takes the place of weight
    decay: set that to 0, or new weights are decayed twice and old ones towards 0.

    Parameters
    ----------
    anchor : mapping of str to Tensor
        The weights before training by name, see :func:`starting_weights`.
    alpha, beta : float
        The paper's names and values for ResNet-101 on images; for text there is no published
        value that would hold in general.
    """

    anchor: Tensors
    alpha: float = 0.1
    beta: float = 0.01
    replaces_clean_loss: ClassVar[bool] = False

    def __call__(self, step: Step) -> torch.Tensor:
        """Return this batch's share of the penalty."""
        trained = _trained(step.model)
        _refuse_nothing_in_common(trained, self.anchor, "L2-SP")
        parts = []
        for name, weight in trained.items():
            if name in self.anchor:
                parts.append(self.alpha * _pull(weight, self.anchor[name]))
            else:
                parts.append(self.beta / 2 * weight.square().sum())
        return torch.stack(parts).sum() / step.n_batches


@dataclass(frozen=True)
class EWC:
    """``weight/2 * sum of F (w - w0)^2`` with F the diagonal Fisher information of earlier data.

    Kirkpatrick et al. 2017 (PNAS, arXiv 1612.00796), equation 3. Weights that the earlier data did
    not inform, a new head for example, are free.

    Parameters
    ----------
    anchor : mapping of str to Tensor
        The weights after training on the earlier data.
    fisher : mapping of str to Tensor
        Of the same names, see :func:`estimate_fisher`.
    weight : float
        The paper's lambda; its useful size grows with how small the Fisher information is, so it
        must be searched.
    """

    anchor: Tensors
    fisher: Tensors
    weight: float = 1.0
    replaces_clean_loss: ClassVar[bool] = False

    def __call__(self, step: Step) -> torch.Tensor:
        """Return this batch's share of the penalty."""
        trained = _trained(step.model)
        _refuse_nothing_in_common(trained, self.fisher, "EWC")
        parts = [
            _pull(w, self.anchor[name], self.fisher[name])
            for name, w in trained.items()
            if name in self.fisher
        ]
        return self.weight * torch.stack(parts).sum() / step.n_batches

    def save(self, path: Path) -> None:
        """Write anchor and Fisher information to a safetensors file."""
        from safetensors.torch import save_file

        tensors = {f"{_ANCHOR}{name}": self.anchor[name].contiguous() for name in self.fisher}
        tensors |= {f"{_FISHER}{name}": value.contiguous() for name, value in self.fisher.items()}
        with atomic_file(path) as temporary:
            save_file(tensors, temporary)

    @classmethod
    def load(cls, path: Path, weight: float = 1.0) -> EWC:
        """Return the penalty in a file that :meth:`save` wrote.

        Raises
        ------
        TrainingError
            If it is missing or is not such a file.
        """
        tensors = _read(path)
        anchor, fisher = (
            {n.removeprefix(kind): value for n, value in tensors.items() if n.startswith(kind)}
            for kind in (_ANCHOR, _FISHER)
        )
        if not fisher or anchor.keys() != fisher.keys():
            raise TrainingError(
                f"{path} has {len(anchor)} anchors and {len(fisher)} Fisher tensors",
                expected="both of each weight, as EWC.save writes them",
                fix="estimate the Fisher information anew from the earlier data",
            )
        return cls(anchor, fisher, weight)


def starting_weights(model: torch.nn.Module, new: Iterable[str] = ()) -> dict[str, torch.Tensor]:
    """Return copies of the trainable weights by name, without those that are ``new`` (the head)."""
    left_out = set(new)
    return {
        name: weight.detach().clone()
        for name, weight in _trained(model).items()
        if name not in left_out
    }


def estimate_fisher(
    rows: Iterable[Step], generator: torch.Generator | None = None
) -> dict[str, torch.Tensor]:
    """Return the diagonal Fisher information: the mean squared gradient of a row's log-likelihood.

    Parameters
    ----------
    rows : iterable of Step
        One row each, with ``n_items`` 1: the gradient of a batch's mean squared is not the mean of
        squared gradients. All of one model; dropout is off meanwhile.
    generator : Generator, optional
        Draws each row's label from the model's own probabilities, as the Fisher information is
        defined. Without one the row's label is taken: the *empirical* Fisher, which vanishes where
        the model is sure and right (Kunstner et al. 2019, arXiv 1905.12558).

    Raises
    ------
    TrainingError
        If there is no row, or a step has several.
    """
    sums: dict[str, torch.Tensor] = {}
    n = 0
    for step in rows:
        n += 1
        _refuse_several_rows(step)
        for name, gradient in _row_gradient(step, generator).items():
            _add_square(sums, name, gradient.float())
    if n == 0:
        raise TrainingError(
            "no rows to estimate the Fisher information from",
            expected="some hundred rows of the earlier data",
            fix="name the earlier data in finetune.objective, or take ewc out",
        )
    return {name: value / n for name, value in sums.items()}


def _add_square(sums: dict[str, torch.Tensor], name: str, gradient: torch.Tensor) -> None:
    if name in sums:
        sums[name].addcmul_(gradient, gradient)
    else:
        sums[name] = gradient.square()


def _pull(
    weight: torch.Tensor, anchor: torch.Tensor, stiffness: torch.Tensor | None = None
) -> torch.Tensor:
    """Return ``1/2 sum of F (w - w0)^2``; without F it is 1."""
    stiff = None if stiffness is None else stiffness.to(weight.device)
    pulled: torch.Tensor = _Pull.apply(weight, anchor.to(weight.device), stiff)  # type: ignore[no-untyped-call]
    return pulled


class _Pull(torch.autograd.Function):
    """The slope ``F (w - w0)`` is at hand with the value: half the passes over all weights."""

    @staticmethod
    def forward(
        ctx: Any, weight: torch.Tensor, anchor: torch.Tensor, stiffness: torch.Tensor | None
    ) -> torch.Tensor:
        away = weight - anchor
        slope = away if stiffness is None else away * stiffness
        ctx.save_for_backward(slope)
        return torch.dot(away.flatten(), slope.flatten()) / 2

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (slope,) = ctx.saved_tensors
        return slope * upstream[0], None, None


def _row_gradient(step: Step, generator: torch.Generator | None) -> dict[str, torch.Tensor]:
    was_training = step.model.training
    step.model.eval()
    try:
        outputs = step.outputs
        labels = step.labels if generator is None else _drawn(outputs.logits, generator)
        loss = step.problem.loss(outputs, labels, 1)
    finally:
        step.model.train(was_training)
    trained = _trained(step.model)
    gradients = torch.autograd.grad(loss, list(trained.values()), allow_unused=True)
    pairs = zip(trained, gradients, strict=True)
    return {name: gradient for name, gradient in pairs if gradient is not None}


def _drawn(logits: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return labels drawn from the model's probabilities, on the device of the logits."""
    probabilities = logits.detach().float().softmax(-1).cpu()
    flat = torch.multinomial(probabilities.flatten(0, -2), 1, generator=generator)
    return flat.reshape(logits.shape[:-1]).to(logits.device)


def _trained(model: Any) -> dict[str, torch.Tensor]:
    return {name: w for name, w in unwrapped(model).named_parameters() if w.requires_grad}


def _read(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise TrainingError(
            f"{path} cannot be read: {error}",
            expected="a safetensors file of EWC.save",
            fix="estimate the Fisher information anew from the earlier data",
        ) from error


def _refuse_nothing_in_common(
    trained: Mapping[str, torch.Tensor], known: Mapping[str, torch.Tensor], penalty: str
) -> None:
    if not trained.keys() & known.keys():
        raise TrainingError(
            f"none of the {len(trained)} trained weights is among the {len(known)} that {penalty} "
            f"knows, for example {next(iter(trained), 'none')}",
            expected="weights of the same model, trained themselves and not through adapters",
            fix=f"set finetune.tuning.kind to full, or take {penalty} out of finetune.objective",
        )


def _refuse_several_rows(step: Step) -> None:
    if len(step.labels) != 1 or step.n_items != 1:
        raise TrainingError(
            f"a batch of {len(step.labels)} rows and {step.n_items} items for the Fisher "
            "information",
            expected="one row with n_items 1: squares of single gradients are averaged",
            fix="call estimate_fisher with one Step for each row",
        )
