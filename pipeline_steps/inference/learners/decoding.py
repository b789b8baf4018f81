"""Writing and weighing texts in batches of like length, the same whatever the batch."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from pipeline_steps.generation_params import GenerationParams
from pipeline_steps.inference.batching import length_sorted_batches
from pipeline_steps.inference.forward import pad
from pipeline_steps.inference.learners.losses import IGNORED

Ids = list[int]
Array = np.ndarray[Any, Any]


def padded_targets(rows: Sequence[Sequence[int]]) -> torch.Tensor:
    """Return target ids (n, longest), padded with ``IGNORED``."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[IGNORED] * (longest - len(row))] for row in rows])


def decoder_inputs(labels: torch.Tensor, start: int, pad_id: int) -> torch.Tensor:
    """Return what a decoder reads to write ``labels`` (n, longest): all but the last, one later."""
    shifted = labels.new_full(labels.shape, start)
    shifted[:, 1:] = labels[:, :-1]
    return shifted.masked_fill(shifted == IGNORED, pad_id)


def read_and_target(prompt: Ids, reply: Ids, start: int | None) -> tuple[Ids, Ids]:
    """Return what a model reads, and what each position of its output is to be.

    A decoder alone reads the reply behind the prompt; position i is to be token i + 1 of it.
    """
    if start is not None:
        return prompt, reply
    return [*prompt, *reply], [*[IGNORED] * (len(prompt) - 1), *reply, IGNORED]


def write(
    model: Any,
    prompts: Sequence[Ids],
    pad_id: int,
    batch_tokens: int,
    params: GenerationParams,
    *,
    start: int | None,
    end: int,
) -> list[Ids]:
    """Return what a model writes after each prompt, its end token included where it stopped.

    Prompts of a decoder are padded on the left, so that all of them end where writing begins.
    """
    device = next(model.parameters()).device
    config = _configuration(model, params, start, end, pad_id)
    costs = [params.num_beams * (len(prompt) + params.max_new_tokens) for prompt in prompts]
    written: list[Ids] = [[] for _ in prompts]
    with torch.inference_mode():
        for batch in length_sorted_batches(costs, batch_tokens):
            some = [prompts[row] for row in batch]
            inputs = pad(some, pad_id) if start is not None else _left_padded(some, pad_id)
            inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
            ids = model.generate(**inputs, generation_config=config).cpu()
            ids = ids[:, 1:] if start is not None else ids[:, inputs["input_ids"].shape[1] :]
            for row, found in zip(batch, ids.tolist(), strict=True):
                written[row] = _until_end(found, config.eos_token_id)
    return written


def surprise(
    model: torch.nn.Module,
    prompts: Sequence[Ids],
    replies: Sequence[Ids],
    pad_id: int,
    batch_tokens: int,
    start: int | None,
) -> Array:
    """Return -log p(reply | prompt) of each row in nats, (n,); 0 for an empty reply."""
    device = next(model.parameters()).device
    chosen = [row for row, reply in enumerate(replies) if reply]
    found = np.zeros(len(replies))
    lengths = [len(prompts[row]) + len(replies[row]) for row in chosen]
    with torch.inference_mode():
        for batch in length_sorted_batches(lengths, batch_tokens):
            rows = [chosen[place] for place in batch]
            pairs = [read_and_target(prompts[row], replies[row], start) for row in rows]
            inputs = pad([read for read, _ in pairs], pad_id)
            labels = padded_targets([target for _, target in pairs])
            if start is not None:
                inputs["decoder_input_ids"] = decoder_inputs(labels, start, pad_id)
            inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
            logits = model(**inputs).logits.float()
            found[rows] = _token_losses(logits, labels.to(device)).sum(dim=1).cpu().numpy()
    return found


def _token_losses(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(
        logits.transpose(1, 2), labels, reduction="none", ignore_index=IGNORED
    )


def _left_padded(rows: Sequence[Ids], pad_id: int) -> dict[str, torch.Tensor]:
    mirrored = pad([row[::-1] for row in rows], pad_id)
    return {name: tensor.flip(1) for name, tensor in mirrored.items()}


def _configuration(
    model: Any, params: GenerationParams, start: int | None, end: int, pad_id: int
) -> Any:
    """Return how the model writes: as its base says, but without chance and with our limits."""
    config = copy.deepcopy(model.generation_config)
    known = config.eos_token_id
    ends = [] if known is None else known if isinstance(known, list) else [known]
    config.update(
        max_new_tokens=params.max_new_tokens,
        max_length=None,
        min_length=0,
        num_beams=params.num_beams,
        length_penalty=params.length_penalty,
        early_stopping=params.num_beams > 1,
        do_sample=False,
        temperature=None,
        top_p=None,
        top_k=None,
        eos_token_id=sorted({*ends, end}),
        pad_token_id=pad_id,
        decoder_start_token_id=start,
        use_cache=True,
    )
    return config


def _until_end(ids: Ids, ends: Sequence[int]) -> Ids:
    """Return ids up to the first end token; what follows is padding."""
    place = next((i for i, token in enumerate(ids) if token in ends), None)
    return ids if place is None else ids[: place + 1]
