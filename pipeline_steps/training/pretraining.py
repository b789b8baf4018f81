"""Continued pre-training: the base reads plain text before it learns the task.

Gururangan et al. 2020 (ACL, arXiv 2004.10964): more reading in the domain, or of the task's own
texts, helps most where the base has seen little like them. The result is a base of its own in the
working directory, named by all that decides it and written whole or not at all; the reading itself
goes on after a kill from its last whole checkpoint.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase, set_seed

from pipeline_steps.digests import value_digest
from pipeline_steps.errors import TrainingError
from pipeline_steps.files import atomic_directory
from pipeline_steps.inference.forward import best_device
from pipeline_steps.inference.learners.body import refuse_random_body
from pipeline_steps.inference.learners.language_model import config_of, is_decoder_alone
from pipeline_steps.inference.precision import choose_precision
from pipeline_steps.inference.tokenization import load_tokenizer, save_tokenizer
from pipeline_steps.training import processes
from pipeline_steps.training.arguments import pretraining_arguments
from pipeline_steps.training.batching import BatchPlanner
from pipeline_steps.training.dropout import use_lane_dropout, use_torch_attention
from pipeline_steps.training.inputs import Inputs
from pipeline_steps.training.objectives.language_modelling import (
    CausalLanguageModel,
    CausalRows,
    MaskedLanguageModel,
    MaskedRows,
    TokenLabelCollator,
)
from pipeline_steps.training.objectives.masking import Masking
from pipeline_steps.training.plain_texts import read_plain_texts
from pipeline_steps.training.preparation import refuse_too_long
from pipeline_steps.training.reading_trainer import ReadingTrainer
from pipeline_steps.training.resume import last_complete, mark_complete

_DECIDING = ("seed", "batch_tokens", "accumulation_steps", "max_length", "precision",
             "warmup_fraction", "weight_decay", "max_gradient_norm")  # fmt: skip


def pretrained_directory(inputs: Inputs, work: Path) -> Path:
    """Return where the base that has read the texts lies, or will lie: named by its inputs."""
    section: Any = inputs.params.pretraining
    content = {
        "base": inputs.base.digest,
        "texts": inputs.further.get("pretraining.examples", inputs.train.digest),
        "how": section.model_dump(mode="json", exclude={"examples"}),
        **inputs.params.model_dump(mode="json", include=set(_DECIDING)),
    }
    return work / f"pretrained-{value_digest(content)[:16]}"


def read_texts(inputs: Inputs, directory: Path) -> None:
    """Write the base that has read the texts to ``directory``.

    Raises
    ------
    TrainingError
        If the base cannot read that way, or the loss diverges.
    """
    params, section = inputs.params, _section(inputs)
    tokenizer = load_tokenizer(inputs.base.path)
    refuse_other_reading(section.kind, inputs.base.path, tokenizer)
    set_seed(params.seed)
    device = best_device()
    model = _reader(section.kind, inputs.base.path)
    if device.type == "cpu":
        use_lane_dropout(model)
    rows, lengths = _rows(inputs, tokenizer)
    refuse_too_long(model, lengths)
    planner = BatchPlanner(lengths, params.batch_tokens, params.seed, params.accumulation_steps)
    steps = directory.with_name(f"{directory.name}-steps")
    arguments = pretraining_arguments(
        params,
        section,
        steps,
        steps_per_epoch=-(-len(planner) // params.accumulation_steps),
        precision=choose_precision(params.precision, device),
        device=device,
        show_progress=sys.stderr.isatty(),
    )
    problem = MaskedLanguageModel() if section.kind == "mlm" else CausalLanguageModel()
    trainer = ReadingTrainer(
        model=model,
        args=arguments,
        train_dataset=rows,
        problem=problem,
        planner=planner,
        data_collator=TokenLabelCollator(int(tokenizer.pad_token_id)),
    )
    processes.draw_apart(params.seed)
    begun = processes.led(lambda: last_complete(steps))
    trainer.train(resume_from_checkpoint=None if begun is None else str(begun))
    use_torch_attention(model)
    processes.led(lambda: _write(model, inputs.base.path, tokenizer, directory))
    processes.led(lambda: shutil.rmtree(steps, ignore_errors=True))


def refuse_other_reading(kind: str, base: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse to hide tokens from a decoder, or to ask an encoder for the next one.

    Raises
    ------
    TrainingError
        If the base does not read that way.
    """
    from transformers.models.auto import modeling_auto

    config = config_of(base)
    name = config.model_type
    hides = name in modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    hides = hides and tokenizer.mask_token_id is not None
    if kind == "mlm" and not hides:
        received = f"{name} cannot be asked for hidden tokens"
    elif kind == "clm" and not is_decoder_alone(config):
        received = f"{name} reads in both directions, so the next token is no question to it"
    else:
        return
    others = ["mlm"] * hides + ["clm"] * is_decoder_alone(config)
    raise TrainingError(
        f"finetune.pretraining.kind is {kind}: {received}",
        expected="mlm for an encoder with a mask token, clm for a decoder alone; an "
        "encoder-decoder would have to restore spans, which is not offered",
        fix="".join(f"set finetune.pretraining.kind to {other}, or " for other in others)
        + "set finetune.pretraining to null",
    )


def _section(inputs: Inputs) -> Any:
    return inputs.params.pretraining


def _reader(kind: str, base: Path) -> Any:
    """Return the base with a head over its vocabulary, fp32."""
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

    auto = AutoModelForMaskedLM if kind == "mlm" else AutoModelForCausalLM
    model, missing = _loaded(auto, base)
    refuse_random_body(base, model, missing)
    return model


def _loaded(kind: Any, base: Path) -> tuple[Any, set[str]]:
    """Return the base as a model of some class in fp32, and which of its weights the base lacks."""
    model, loading = kind.from_pretrained(
        base,
        dtype=torch.float32,
        use_safetensors=True,
        local_files_only=True,
        output_loading_info=True,
    )
    return model, set(loading["missing_keys"])


def _rows(inputs: Inputs, tokenizer: PreTrainedTokenizerBase) -> tuple[Any, list[int]]:
    """Return the rows to read and their lengths; a long text is read in pieces."""
    params, section = inputs.params, _section(inputs)
    found = tokenizer(
        _texts(inputs),
        truncation=True,
        max_length=params.max_length,
        return_overflowing_tokens=True,
        verbose=False,
    )
    token_ids: list[list[int]] = found["input_ids"]
    lengths = [len(ids) for ids in token_ids]
    if section.kind == "clm":
        return CausalRows(token_ids), lengths
    masking = Masking(
        mask_id=int(tokenizer.mask_token_id),
        special_ids=frozenset(tokenizer.all_special_ids),
        vocabulary_size=len(tokenizer),
        share=section.mask_share,
        whole_words=section.whole_words,
    )
    words: Sequence[Sequence[int | None]] | None = None
    if section.whole_words:
        words = [found.word_ids(row) for row in range(len(token_ids))]
    return MaskedRows(token_ids, masking, params.seed, words), lengths


def _texts(inputs: Inputs) -> list[str]:
    examples = _section(inputs).examples
    return read_plain_texts(Path(examples) if examples else inputs.train.path)


def _write(model: Any, base: Path, tokenizer: PreTrainedTokenizerBase, directory: Path) -> None:
    """Write the base, whatever head it has, with the body that has read; nothing random with it.

    Where the base itself tells tokens, its matrix over the vocabulary has learnt with the body.
    """
    import transformers

    config = transformers.AutoConfig.from_pretrained(base, local_files_only=True)
    names = config.architectures or []
    kind = getattr(transformers, names[0] if names else "", transformers.AutoModel)
    whole, missing = _loaded(kind, base)
    if type(whole) is type(model):
        whole.load_state_dict(model.state_dict())
    else:
        whole.base_model.load_state_dict(model.base_model.state_dict(), strict=False)
    kept = {name: w for name, w in whole.state_dict().items() if name not in missing}
    with atomic_directory(directory) as temporary:
        whole.save_pretrained(temporary, state_dict=kept)
        save_tokenizer(tokenizer, temporary)
        mark_complete(temporary)
