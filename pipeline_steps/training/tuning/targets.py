"""Which matrices an adaptation changes: found in the model, or named by the user and checked."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch

from pipeline_steps.errors import TrainingError
from pipeline_steps.inference.anatomy import layer_lists, linears
from pipeline_steps.tuning_params import ALL_LINEAR

_QUERY = frozenset({"query", "q_lin", "query_proj", "q_proj", "q"})
_KEY = frozenset({"key", "k_lin", "key_proj", "k_proj", "k"})
_VALUE = frozenset({"value", "v_lin", "value_proj", "v_proj", "v"})
_FUSED = frozenset({"Wqkv", "c_attn", "query_key_value", "qkv_proj", "in_proj"})


def query_and_value(model: torch.nn.Module) -> list[str]:
    """Return the attention's query and value matrices, which LoRA's authors adapted.

    Where query, key and value are one matrix (ModernBERT, GPT-2), it is that one.

    Raises
    ------
    TrainingError
        If the layers hold no matrix of such a name.

    References
    ----------
    Hu et al. (2022). LoRA: Low-rank adaptation of large language models. ICLR, table 5.
    """
    return _in_layers(model, _QUERY | _VALUE | _FUSED)


def key_and_value(model: torch.nn.Module) -> list[str]:
    """Return the attention's key and value matrices, or the one that query shares with them.

    Raises
    ------
    TrainingError
        If the layers hold no matrix of such a name.
    """
    return _in_layers(model, _KEY | _VALUE | _FUSED)


def named_targets(
    model: torch.nn.Module, names: Sequence[str], head_names: Collection[str]
) -> list[str]:
    """Return the full names of the matrices that the user named, those of the head left out.

    Parameters
    ----------
    names : sequence of str
        Last parts of names, such as ``query`` or ``attention.output.dense``.
    head_names : collection of str
        Parameters of the head; it learns whole and needs no adaptation.

    Raises
    ------
    TrainingError
        If one of the names is that of no matrix outside the head.
    """
    candidates = _outside_head(model, head_names)
    absent = [name for name in names if not any(_ends_with(c, name) for c in candidates)]
    if absent:
        raise _unknown(
            model,
            f"names {', '.join(absent)}, which this model lacks outside of its head",
            candidates,
        )
    return [c for c in candidates if any(_ends_with(c, name) for name in names)]


def all_linear(model: torch.nn.Module, head_names: Collection[str]) -> list[str]:
    """Return the full names of all matrices but the head's and the one that writes tokens.

    It is what peft's ``all-linear`` means; asked itself, peft knows the head only by its name, and
    only of a model whose task type it is told.

    Raises
    ------
    TrainingError
        If there is none.

    References
    ----------
    Dettmers et al. (2023). QLoRA. NeurIPS, section 4: full tuning is matched only so.
    """
    output = getattr(model, "get_output_embeddings", lambda: None)()
    found = [n for n in _outside_head(model, head_names) if model.get_submodule(n) is not output]
    if not found:
        raise _unknown(model, f"is {ALL_LINEAR}, and no linear layer stands outside the head")
    return found


def head_modules(head_names: Collection[str]) -> list[str]:
    """Return the modules that hold the head's parameters.

    Examples
    --------
    >>> head_modules(["classifier.weight", "classifier.bias"])
    ['classifier']
    """
    return sorted({name.rpartition(".")[0] for name in head_names})


def _outside_head(model: torch.nn.Module, head_names: Collection[str]) -> list[str]:
    head = head_modules(head_names)
    return [
        name for name in linears(model) if not any(f"{name}.".startswith(f"{h}.") for h in head)
    ]


def _in_layers(model: torch.nn.Module, leaves: Collection[str]) -> list[str]:
    inside = tuple(f"{name}." for name in layer_lists(model))
    found = [
        name
        for name in linears(model)
        if name.startswith(inside) and name.rpartition(".")[2] in leaves
    ]
    if not found:
        raise _unknown(model, "is null, and no attention is recognised in this model")
    return found


def _unknown(
    model: torch.nn.Module, received: str, candidates: Collection[str] | None = None
) -> TrainingError:
    known = linears(model) if candidates is None else candidates
    leaves = sorted({name.rpartition(".")[2] for name in known})
    return TrainingError(
        f"finetune.tuning.target_modules {received}",
        expected=f"{ALL_LINEAR}, or names among {', '.join(leaves)}",
        fix="choose the modules to adapt from these in finetune.tuning.target_modules",
    )


def _ends_with(full: str, name: str) -> bool:
    return f".{full}".endswith(f".{name}")
