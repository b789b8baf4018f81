"""Learnt vectors before the text: as input embeddings, or as keys and values of every layer.

Both act through hooks on the body, so the head sees the positions of the text alone, and names and
class of the model stay what they were.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, Literal

import torch

from pipeline_steps.errors import TrainingError
from pipeline_steps.inference.anatomy import body, is_causal, stacks
from pipeline_steps.inference.positions import most_positions

NAME = "soft_prompt"
"""What the module is called under the body."""
_DEVIATION = 0.02


@dataclass(frozen=True)
class PromptSpec:
    """Prompt tuning (Lester et al. 2021): vectors beside the token embeddings.

    Parameters
    ----------
    n_tokens : int
        Learnt vectors.
    """

    n_tokens: int
    kind: Literal["prompt"] = "prompt"


@dataclass(frozen=True)
class PrefixSpec:
    """Prefix tuning (Li & Liang 2021): keys and values that every layer attends to.

    Parameters
    ----------
    n_tokens : int
        Learnt positions in each layer.
    """

    n_tokens: int
    kind: Literal["prefix"] = "prefix"


class SoftPrompt(torch.nn.Module):
    """One table of learnt vectors.

    Parameters
    ----------
    shape : tuple of int
        (n_tokens, width) for a prompt, (2 * n_layers, n_heads, n_tokens, head_width) for a prefix.
    position : int
        After how many tokens of the text a prompt is put in.
    """

    def __init__(self, shape: tuple[int, ...], position: int = 0) -> None:
        super().__init__()
        self.vectors = torch.nn.Parameter(torch.zeros(shape))
        self.position = position
        self.most_positions: int | None = None
        """Of the body that it stands in, for itself and the text."""

    @property
    def n_learnt_tokens(self) -> int:
        """How many tokens it stands for."""
        return int(self.vectors.shape[-2])

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the vectors."""
        torch.nn.init.normal_(self.vectors, std=_DEVIATION, generator=generator)


def attach_prompt(model: torch.nn.Module, spec: PromptSpec) -> list[SoftPrompt]:
    """Return the prompt after putting it into the body.

    In a causal model it stands before the text. In an encoder it stands after the first token,
    because heads and poolers read the first position. The outputs lose its positions again, so
    token tasks work too.

    Raises
    ------
    TrainingError
        If the body reads no embeddings, or has an encoder and a decoder.
    """
    inner: Any = body(model)
    if len(stacks(model)) > 1 or "inputs_embeds" not in _arguments(inner):
        raise TrainingError(
            f"{type(model).__name__} cannot be prompted",
            expected="an encoder or a decoder alone that accepts inputs_embeds, "
            "such as BERT, DistilBERT, RoBERTa, DeBERTa, ModernBERT, GPT-2 or Llama",
            fix="choose another tuning, for example lora, for this base model",
        )
    table = inner.get_input_embeddings().weight
    prompt = SoftPrompt((spec.n_tokens, table.shape[1]), position=0 if is_causal(inner) else 1)
    prompt.most_positions = most_positions(inner)
    inner.add_module(NAME, prompt.to(table.device))
    inner.register_forward_pre_hook(_put_prompt_in, with_kwargs=True)
    inner.register_forward_hook(_take_prompt_out)
    return [prompt]


def attach_prefix(model: torch.nn.Module, spec: PrefixSpec) -> list[SoftPrompt]:
    """Return the prefix after putting it into the body.

    Raises
    ------
    TrainingError
        If the layers of the body accept no past keys and values, or would drop them.
    """
    inner: Any = body(model)
    _refuse_no_past(model, inner)
    config = inner.config
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    prefix = SoftPrompt((2 * config.num_hidden_layers, heads, spec.n_tokens, width))
    prefix.most_positions = most_positions(inner)
    inner.add_module(NAME, prefix.to(next(inner.parameters()).device))
    inner.register_forward_pre_hook(_put_prefix_in, with_kwargs=True)
    return [prefix]


def _refuse_no_past(model: torch.nn.Module, inner: Any) -> None:
    if len(stacks(model)) > 1 or "past_key_values" not in _arguments(inner):
        raise TrainingError(
            f"the layers of {type(model).__name__} accept no past keys and values, "
            "which a prefix is made of",
            expected="a body such as BERT, RoBERTa, GPT-2 or Llama",
            fix="choose prompt (which works with encoders such as DistilBERT, DeBERTa and "
            "ModernBERT) or lora in finetune.tuning.kind",
        )


def _arguments(module: torch.nn.Module) -> set[str]:
    return set(inspect.signature(module.forward).parameters)


def _named(inner: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    names = list(inspect.signature(inner.forward).parameters)
    return {**dict(zip(names, args, strict=False)), **kwargs}


def _put_prompt_in(
    inner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    call = _named(inner, args, kwargs)
    prompt: SoftPrompt = inner.soft_prompt
    embedded = call.pop("inputs_embeds", None)
    ids = call.pop("input_ids", None)
    if embedded is None:
        embedded = inner.get_input_embeddings()(ids)
    _refuse_too_long(prompt, embedded.shape[1])
    vectors = prompt.vectors.to(embedded.dtype).expand(len(embedded), -1, -1)
    call["inputs_embeds"] = _inserted(embedded, vectors, prompt.position)
    for name, value in (("attention_mask", 1), ("token_type_ids", 0)):
        given = call.get(name)
        if given is not None:
            call[name] = _inserted(given, given.new_full(vectors.shape[:2], value), prompt.position)
    return (), call


def _take_prompt_out(inner: Any, _: Any, output: Any) -> Any:
    prompt: SoftPrompt = inner.soft_prompt
    first, last = prompt.position, prompt.position + len(prompt.vectors)
    hidden = output[0]
    text_only = torch.cat([hidden[:, :first], hidden[:, last:]], dim=1)
    if isinstance(output, tuple):
        return (text_only, *output[1:])
    output["last_hidden_state"] = text_only
    return output


def _inserted(text: torch.Tensor, extra: torch.Tensor, position: int) -> torch.Tensor:
    return torch.cat([text[:, :position], extra, text[:, position:]], dim=1)


def _put_prefix_in(
    inner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    from transformers import DynamicCache

    call = _named(inner, args, kwargs)
    vectors = inner.soft_prompt.vectors
    text = call["input_ids"] if call.get("input_ids") is not None else call["inputs_embeds"]
    n, length = text.shape[:2]
    n_tokens = inner.soft_prompt.n_learnt_tokens
    _refuse_too_long(inner.soft_prompt, length)
    _refuse_dropped_past(inner)
    cache = DynamicCache()
    for layer in range(len(vectors) // 2):
        keys, values = (v.expand(n, -1, -1, -1) for v in vectors[2 * layer : 2 * layer + 2])
        cache.update(keys, values, layer)
    mask = call.get("attention_mask")
    # An encoder takes the length of what it attends to from the mask: there must be one.
    mask = text.new_ones((n, length), dtype=torch.long) if mask is None else mask
    call["attention_mask"] = torch.cat([mask.new_ones((n, n_tokens)), mask], dim=1)
    return (), {**call, "past_key_values": cache}


def _refuse_dropped_past(inner: Any) -> None:
    if inner.training and getattr(inner, "is_activation_checkpointing", False):
        raise TrainingError(
            "gradient checkpointing drops the past keys and values that a prefix is made of",
            expected="prefix tuning without gradient checkpointing",
            fix="switch one of the two off",
        )


def _refuse_too_long(prompt: SoftPrompt, length: int) -> None:
    limit, n_tokens = prompt.most_positions, prompt.n_learnt_tokens
    if limit is not None and length + n_tokens > limit:
        raise TrainingError(
            f"a text of {length} tokens and {n_tokens} learnt ones before it",
            expected=f"at most {limit} together",
            fix="lower finetune.max_length or finetune.tuning.n_tokens",
        )
