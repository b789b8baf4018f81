"""Weights, gradients and optimizer states shared out over processes: FSDP2 of torch.

Each layer's weights are gathered just before it computes and let go of afterwards (Zhao et al.
2023), so a process holds its share of the model and one whole layer. What is saved is whole again:
a checkpoint does not say how many processes made it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from pipeline_steps.errors import TrainingError
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.inference.anatomy import layer_lists
from pipeline_steps.training import processes

_OF_WHOLE_WEIGHTS = ("prompt", "prefix", "qlora")
"""Tunings that were not tried with shared-out weights."""
_WEIGHTS = "model.safetensors"
_TO_LEADER = StateDictOptions(full_state_dict=True, cpu_offload=True)
_FROM_FILES = StateDictOptions(full_state_dict=True)


def refuse_sharded(params: FinetuneParams) -> None:
    """Refuse what does not go with shared-out weights.

    Raises
    ------
    TrainingError
        If they are asked for and something does not.
    """
    if not params.hardware.sharded:
        return
    if processes.n_processes() == 1:
        raise TrainingError(
            "finetune.hardware.sharded and one process",
            expected="several processes, that share the weights out among them",
            fix="set HOLDFAST_PROCESSES to 2 or more, or finetune.hardware.sharded to false",
        )
    asked = {
        f"tuning.kind {params.tuning.kind}": params.tuning.kind in _OF_WHOLE_WEIGHTS,
        "averaging": params.averaging is not None,
        "wise_ft": params.wise_ft is not None,
        "student_layers": params.student_layers is not None,
        "pretraining": params.pretraining is not None,
        "n_runs": params.n_runs > 1,
        **{f"objective.{name}": True for name in params.objective.chosen()},
        "hardware.compile": params.hardware.compile,
        "precision fp16": params.precision == "fp16",
    }
    found = [name for name, is_asked in asked.items() if is_asked]
    if found:
        raise TrainingError(
            f"finetune.hardware.sharded together with {', '.join(found)}",
            expected="a loss alone in bf16 or fp32, with the tuning full, head, top_layers, "
            "bitfit, lora, ia3, houlsby or pfeiffer",
            fix="leave these out, or set finetune.hardware.sharded to false",
        )


def shard(model: torch.nn.Module, device: torch.device) -> None:
    """Share a model's weights out over all processes, layer by layer.

    On CPUs it works through gloo. Accelerate, which transformers' Trainer would ask, knows FSDP for
    accelerators only, so torch is asked here.
    """
    mesh = init_device_mesh(device.type, (processes.n_processes(),))
    for layers in layer_lists(model).values():
        for layer in layers:
            fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)


def whole_weights(model: torch.nn.Module) -> dict[str, Any]:
    """Return all weights, in the leader; nothing in the others. Every process must ask."""
    return get_model_state_dict(model, options=_TO_LEADER)


def save_weights(state: dict[str, torch.Tensor], checkpoint: Path) -> None:
    """Write all weights by the names that they have while they are trained, adapters too."""
    checkpoint.mkdir(parents=True, exist_ok=True)
    apart: dict[int, str] = {}  # safetensors refuses a tensor that stands under two names
    for name, tensor in state.items():
        apart.setdefault(tensor.data_ptr(), name)
    tensors = {n: t if apart[t.data_ptr()] == n else t.clone() for n, t in state.items()}
    save_file(tensors, checkpoint / _WEIGHTS)


def load_weights(model: torch.nn.Module, checkpoint: Path) -> None:
    """Give each process its share of the weights in a checkpoint."""
    state: dict[str, Any] = load_file(checkpoint / _WEIGHTS)
    set_model_state_dict(model, state, options=_FROM_FILES)


def whole_optimizer_state(model: torch.nn.Module, optimizer: Any) -> dict[str, Any]:
    """Return the optimizer's states, in the leader; nothing in the others. Every process asks."""
    found: dict[str, Any] = get_optimizer_state_dict(model, _inner(optimizer), options=_TO_LEADER)
    return found


def load_optimizer_state(model: torch.nn.Module, optimizer: Any, state: dict[str, Any]) -> None:
    """Give each process its share of an optimizer's states."""
    set_optimizer_state_dict(model, _inner(optimizer), state, options=_FROM_FILES)


def learning_sum(model: torch.nn.Module) -> torch.nn.Parameter:
    """Return a number that is finite, in every process alike, if all weights that learn are."""
    shares = [
        (p.to_local() if isinstance(p, DTensor) else p).detach().float().abs().sum()
        for p in model.parameters()
        if p.requires_grad
    ]
    return torch.nn.Parameter(processes.averaged(torch.stack(shares).sum()))


def _inner(optimizer: Any) -> torch.optim.Optimizer:
    """Return the optimizer that accelerate has wrapped."""
    inner: torch.optim.Optimizer = getattr(optimizer, "optimizer", optimizer)
    return inner
