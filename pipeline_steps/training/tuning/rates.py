"""Who learns how fast: parameter groups with a rate for each layer, and the optimizers by name.

Everything is read off the parameters' names, so any architecture and any wrapper will do.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch

from pipeline_steps.errors import TrainingError

NamedParameters = Iterable[tuple[str, torch.nn.Parameter]]
OptimizerName = Literal["adamw", "sgd", "adafactor", "radam", "nadam"]

_LAYER = re.compile(r"^(.*?)\.(\d+)\.")
_KEPT_WHOLE = "modules_to_save.default."  # what peft puts into the names of a head's parameters
_NO_DECAY = ("bias", "norm", "ia3_l")  # IA3's factors start at 1: decay would switch features off
_MOMENTUM = 0.9


@dataclass(frozen=True)
class Rates:
    """Learning rates and decay.

    Parameters
    ----------
    body : float
        Peak rate of the top layer and of what stands above it.
    head : float
        Peak rate of the new head.
    layer_decay : float
        Factor from one layer to the next lower one; 1: all layers learn alike. Howard & Ruder
        (2018) used 1/2.6 for an LSTM, Zhang et al. (2021) 0.95 for BERT-large.
    weight_decay : float
        Of matrices; biases and norms have none (Devlin et al. 2019).
    """

    body: float
    head: float
    layer_decay: float = 1.0
    weight_decay: float = 0.01


def parameter_groups(
    named_parameters: NamedParameters, head_names: Collection[str], rates: Rates
) -> list[dict[str, Any]]:
    """Return optimizer groups: head, layers from the top down, embeddings; each with and without
    weight decay.

    Parameters
    ----------
    named_parameters : iterable of (str, Parameter)
        All of the model, in its order; those that do not learn are left out of the groups.
    head_names : collection of str
        Names of the parameters that the base lacked.
    rates : Rates
        Rates and decay.

    References
    ----------
    Howard & Ruder (2018). Universal language model fine-tuning for text classification. ACL,
    section 3.2. Zhang et al. (2021). Revisiting few-sample BERT fine-tuning. ICLR.

    Examples
    --------
    >>> weight = torch.nn.Parameter(torch.zeros(2, 2))
    >>> names = ["embeddings.word.weight", "layer.0.w", "layer.1.w", "classifier.weight"]
    >>> groups = parameter_groups([(name, weight) for name in names], {"classifier.weight"},
    ...                           Rates(body=1.0, head=8.0, layer_decay=0.5))
    >>> [group["lr"] for group in groups]
    [8.0, 1.0, 0.5, 0.25]
    """  # noqa: D205 - the first line would lose its list
    pairs = list(named_parameters)
    depths = layer_depths([name for name, _ in pairs], head_names)
    if rates.layer_decay == 1.0:  # one group for all layers: fewer, larger fused updates
        depths = {name: min(depth, 0) for name, depth in depths.items()}
    members: dict[tuple[int, bool], list[torch.nn.Parameter]] = {}
    for name, parameter in pairs:
        if parameter.requires_grad:
            members.setdefault((depths[name], not _decays(name, parameter)), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": rates.head if depth < 0 else rates.body * rates.layer_decay**depth,
            "weight_decay": 0.0 if spared else rates.weight_decay,
        }
        for (depth, spared), parameters in sorted(members.items(), key=lambda item: item[0])
    ]


def layer_depths(names: Iterable[str], head_names: Collection[str]) -> dict[str, int]:
    """Return how far below the top each parameter stands: -1 for the head, 0 for the top layer.

    A layer is the first number in a name. What has none stands below all layers if it comes before
    the first of them or is named after embeddings, and counts to the top layer otherwise (a pooler,
    a final norm). An encoder and a decoder are counted each from their own top.

    Examples
    --------
    >>> layer_depths(["wte.w", "h.0.w", "h.1.w", "ln_f.w", "score.w"], {"score.w"})
    {'wte.w': 2, 'h.0.w': 1, 'h.1.w': 0, 'ln_f.w': 0, 'score.w': -1}
    """
    names = list(names)
    heights: dict[str, int] = {}
    for stack, index in _layers(names, head_names):
        heights[stack] = max(heights.get(stack, 0), index + 1)
    bottom = max(heights.values(), default=0)
    depths, seen_a_layer = {}, False
    for name in names:
        match = _LAYER.match(name)
        if is_head(name, head_names):
            depths[name] = -1
        elif match:
            seen_a_layer = True
            depths[name] = heights[match[1]] - 1 - int(match[2])
        else:
            depths[name] = 0 if seen_a_layer and "embed" not in name.lower() else bottom
    return depths


def is_head(name: str, head_names: Collection[str]) -> bool:
    """Return whether a parameter is the head's, whatever wrappers put before its name.

    Examples
    --------
    >>> is_head("base_model.model.classifier.modules_to_save.default.weight", {"classifier.weight"})
    True
    """
    plain = f".{name.replace(_KEPT_WHOLE, '')}"
    return any(plain.endswith(f".{head}") for head in head_names)


def build_optimizer(name: str, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """Return an optimizer of torch over groups that name their rate and weight decay.

    Weight decay is decoupled from the gradient (Loshchilov & Hutter 2019) in all but SGD. Adam's
    moments are corrected for their start from zero, without which BERT's training was found to fail
    on small datasets (Mosbach et al. 2021, Zhang et al. 2021).

    Parameters
    ----------
    name : {"adamw", "sgd", "adafactor", "radam", "nadam"}
        AdamW (fused); SGD with momentum 0.9; Adafactor (Shazeer & Stern 2018); RAdam (Liu et al.
        2020); NAdam (Dozat 2016).
    groups : list of dict
        From :func:`parameter_groups`.

    Raises
    ------
    TrainingError
        If the name is unknown.
    """
    optimizers: Mapping[str, Any] = {
        "adamw": lambda: torch.optim.AdamW(groups, fused=True),
        "sgd": lambda: torch.optim.SGD(groups, momentum=_MOMENTUM),
        "adafactor": lambda: torch.optim.Adafactor(groups),
        "radam": lambda: torch.optim.RAdam(groups, decoupled_weight_decay=True),
        "nadam": lambda: torch.optim.NAdam(groups, decoupled_weight_decay=True),
    }
    if name not in optimizers:
        raise TrainingError(
            f"finetune.optimizer is {name}",
            expected=f"one of {', '.join(get_args(OptimizerName))}",
            fix="correct finetune.optimizer in params.yaml",
        )
    optimizer: torch.optim.Optimizer = optimizers[name]()
    return optimizer


def _layers(names: Iterable[str], head_names: Collection[str]) -> Iterator[tuple[str, int]]:
    for name in names:
        match = _LAYER.match(name)
        if match and not is_head(name, head_names):
            yield match[1], int(match[2])


def _decays(name: str, parameter: torch.Tensor) -> bool:
    return parameter.ndim > 1 and not any(part in name.lower() for part in _NO_DECAY)
