"""A prompted classifier from a language model, a template and a few training rows; no training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, PreTrainedTokenizerBase

from pipeline_steps.errors import TrainingError
from pipeline_steps.inference.checkpoint import write_checkpoint
from pipeline_steps.inference.examples_file import ExampleRows, read_examples
from pipeline_steps.inference.forward import best_device
from pipeline_steps.inference.learners.catalog import get_learner
from pipeline_steps.inference.positions import longest_input
from pipeline_steps.inference.prompted.classifier import Prompt, PromptedClassifier
from pipeline_steps.inference.prompted.storage import load_language_model
from pipeline_steps.inference.tokenization import load_tokenizer
from pipeline_steps.training.inputs import Inputs
from pipeline_steps.training.result import describer
from pipeline_steps.tuning_params import InContextTuning
from pipeline_steps.types import Checkpoint

_TEXT, _LABEL = "{text}", "{label}"
_EMPTY = ("N/A", "", "[MASK]")
"""Texts without content, of Zhao et al. (2021), section 5; ``[MASK]`` is the tokenizer's own."""
_SUFFIXES = {"ForCausalLM": "causal", "LMHeadModel": "causal", "ForMaskedLM": "masked"}


def write_prompted(inputs: Inputs, tuning: InContextTuning, output: Path) -> Checkpoint:
    """Return the checkpoint of a prompted classifier, with its scores on the validation rows.

    Raises
    ------
    TrainingError
        If the problem is not text classification, or the prompt does not fit.
    """
    _refuse_other_problem(inputs.problem)
    params = inputs.params
    problem = get_learner(inputs.problem)
    tokenizer = load_tokenizer(inputs.base.path)
    rows, valid = (read_examples(d.path) for d in (inputs.train, inputs.valid))
    labels = problem.labels_of(rows)
    classifier = prompted_classifier(
        inputs.base.path, tokenizer, rows, labels, tuning, params.seed
    ).to(best_device())
    encoded = problem.encode(tokenizer, valid, params.max_length, params.stride)
    outputs = problem.run(
        classifier, encoded, classifier.prompt.pad_id, params.batch_tokens, len(labels)
    )
    targets = problem.targets(encoded, valid, labels)
    scores = problem.validation_scores(outputs, encoded, targets, valid, labels)
    training = {
        "history": [{"step": 0, **scores}],
        "steps": 0,
        "n_parameters": sum(p.numel() for p in classifier.parameters()),
        "n_trainable": 0,
        "n_truncated": encoded.n_truncated,
        "device": best_device().type,
    }

    def save(directory: Path) -> None:
        classifier.save_pretrained(directory)
        tokenizer.save_pretrained(directory)

    return write_checkpoint(output, save, describer(inputs, labels, training))


def prompted_classifier(
    base: Path,
    tokenizer: PreTrainedTokenizerBase,
    rows: ExampleRows,
    labels: Sequence[str],
    params: InContextTuning,
    seed: int,
) -> PromptedClassifier:
    """Return the classifier.

    Parameters
    ----------
    base : Path
        A language model with its output layer.
    rows : ExampleRows
        Training rows; ``shots`` of each label are shown in the prompt, drawn by ``seed``.
    labels : sequence of str
        In the order of the logits.

    Raises
    ------
    TrainingError
        If the base is no language model, the rows are text pairs, or the prompt leaves no room.

    References
    ----------
    Brown et al. (2020). Language models are few-shot learners. NeurIPS.
    Zhao, Wallace, Feng, Klein & Singh (2021). Calibrate before use: Improving few-shot performance
    of language models. ICML.
    """
    _refuse_pairs(rows)
    _refuse_foreign_words(params, labels)
    kind = _kind_of(base)
    words = [_words_of(label, params) for label in labels]
    shown = _shown(rows, labels, params.shots, seed)
    demonstrations = [
        params.template.replace(_TEXT, text).replace(_LABEL, words[label]) for text, label in shown
    ]
    model = load_language_model(base, kind)
    prompt = _prompt(model, tokenizer, kind, demonstrations, words, params)
    classifier = PromptedClassifier(model, prompt)
    if params.calibrated:
        classifier.prompt = prompt.model_copy(update={"bias": _bias(classifier, tokenizer)})
    return classifier


def _prompt(
    model: torch.nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    kind: str,
    demonstrations: Sequence[str],
    words: Sequence[str],
    params: InContextTuning,
) -> Prompt:
    before, _, rest = params.template.partition(_TEXT)
    between, _, after = rest.partition(_LABEL)
    # Blanks before the label belong to it: tokenizers that mark the start of a word need them.
    blanks = between[len(between.rstrip()) :]
    head = "".join(f"{part}{params.separator}" for part in (params.instruction, *demonstrations))
    head = head.removeprefix(params.separator) if not params.instruction else head
    start, end = _specials(tokenizer)
    prompt = Prompt(
        model=kind,
        before=(*start, *_ids(tokenizer, head + before)),
        between=_ids(tokenizer, between.rstrip()),
        after=(*_ids(tokenizer, after), *end),
        labels=tuple(_ids(tokenizer, blanks + word) for word in words),
        bias=(0.0,) * len(words),
        score=params.score,
        special_ids=tuple(sorted({*start, *end})),
        mask_id=tokenizer.mask_token_id,
        pad_id=tokenizer.pad_token_id,
        max_positions=longest_input(model, tokenizer) or tokenizer.model_max_length,
    )
    _refuse_same_labels(prompt, words)
    _refuse_no_room(prompt, params)
    return prompt


def _bias(classifier: PromptedClassifier, tokenizer: PreTrainedTokenizerBase) -> tuple[float, ...]:
    """Return the log of the labels' mean probability over texts without content."""
    texts = [tokenizer.mask_token or "" if text == "[MASK]" else text for text in _EMPTY]
    with torch.inference_mode():
        probabilities = [
            classifier(torch.tensor([_ids(tokenizer, text)], dtype=torch.long)).logits.softmax(-1)
            for text in dict.fromkeys(texts)
        ]
    mean = torch.cat(probabilities).mean(dim=0)
    return tuple(mean.log().tolist())


def _shown(
    rows: ExampleRows, labels: Sequence[str], shots: int, seed: int
) -> list[tuple[str, int]]:
    """Return texts with their labels' numbers, ``shots`` of each label, in random order."""
    generator = np.random.default_rng(seed)
    of_rows = np.array(rows.labels, dtype=object)
    chosen: list[tuple[str, int]] = []
    for number, label in enumerate(labels):
        of_label = np.flatnonzero(of_rows == label)
        drawn = generator.permutation(of_label)[:shots]
        chosen += [(rows.texts[row], number) for row in drawn]
    return [chosen[i] for i in generator.permutation(len(chosen))]


def _words_of(label: str, params: InContextTuning) -> str:
    words = params.label_words or {}
    return words.get(label, label.replace("_", " "))


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[int, ...]:
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"]) if text else ()


def _specials(tokenizer: PreTrainedTokenizerBase) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the tokens that the tokenizer sets before and after a text."""
    plain = _ids(tokenizer, "a")
    around = tuple(tokenizer("a")["input_ids"])
    at = next(i for i in range(len(around)) if around[i : i + len(plain)] == plain)
    return around[:at], around[at + len(plain) :]


def _kind_of(base: Path) -> str:
    """Return whether a base model was saved as a causal or a masked language model."""
    config: Any = AutoConfig.from_pretrained(base, local_files_only=True)
    for architecture in config.architectures or ():
        for suffix, kind in _SUFFIXES.items():
            if architecture.endswith(suffix):
                return kind
    raise TrainingError(
        f"the base model {base} is {', '.join(config.architectures or ['of no known class'])}",
        expected="a language model with its output layer (...ForCausalLM or ...ForMaskedLM)",
        fix="name one in finetune.base_model, or set finetune.tuning.kind to full",
    )


def _refuse_other_problem(problem: str) -> None:
    if problem != "text_classification":
        raise TrainingError(
            f"finetune.tuning.kind is in_context, and the problem {problem}",
            expected="text_classification: labels are scored, one for a text",
            fix="set finetune.tuning.kind to full",
        )


def _refuse_foreign_words(params: InContextTuning, labels: Sequence[str]) -> None:
    foreign = sorted(set(params.label_words or ()) - set(labels))
    if foreign:
        raise TrainingError(
            f"finetune.tuning.label_words has words for {', '.join(foreign)}, which no row has",
            expected=f"labels of the training rows: {', '.join(labels)}",
            fix="correct the names in finetune.tuning.label_words, or take them out",
        )


def _refuse_pairs(rows: ExampleRows) -> None:
    if rows.pairs is not None and any(pair is not None for pair in rows.pairs):
        raise TrainingError(
            "the rows are pairs of texts, and a prompt has one place for a text",
            expected="rows without ingest.columns.text_pair",
            fix="set ingest.columns.text_pair to null, or finetune.tuning.kind to full",
        )


def _refuse_same_labels(prompt: Prompt, words: Sequence[str]) -> None:
    if len(set(prompt.labels)) < len(prompt.labels) or not all(prompt.labels):
        raise TrainingError(
            f"the words of the labels ({', '.join(words[:10])}) are the same tokens, or none",
            expected="words that the tokenizer tells apart",
            fix="say other words in finetune.tuning.label_words",
        )


def _refuse_no_room(prompt: Prompt, params: InContextTuning) -> None:
    if prompt.model == "causal" and not (prompt.before or prompt.between):
        raise TrainingError(
            f"the template {params.template!r} has nothing before the label but the text",
            expected="words that the label follows, also after an empty text",
            fix="write something between {text} and {label} in finetune.tuning.template",
        )
    if prompt.room < params.min_text_tokens:
        raise TrainingError(
            f"the prompt leaves {prompt.room} of {prompt.max_positions} tokens for the text",
            expected=f"room for {params.min_text_tokens} tokens",
            fix="lower finetune.tuning.shots, or shorten the instruction or the template",
        )
