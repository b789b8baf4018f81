"""Old models and teachers of models that write: by hand, over the tokens to be written alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tiny_writers import CONFIGURATIONS
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from pipeline_steps.inference.forward import pad
from pipeline_steps.inference.learners.generation import GenerationLearner
from pipeline_steps.inference.learners.losses import IGNORED
from pipeline_steps.training.objectives.distillation import Distillation, HiddenDistillation
from pipeline_steps.training.objectives.lwf import LwF
from pipeline_steps.training.objectives.penalties import estimate_fisher
from pipeline_steps.training.objectives.step import Step
from pipeline_steps.training.objectives.teachers import LiveTeacher

WORDS = 20
ARCHITECTURES = ("t5", "gpt2")
PROMPTS = [[5, 6, 7, 8], [9, 10]]
REPLIES = [[11, 12, 1], [13, 14, 15, 16, 1]]
N_TOKENS = 8


def writer(architecture: str, seed: int) -> Any:
    config = CONFIGURATIONS[architecture](WORDS)
    kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    torch.manual_seed(seed)
    model = kind.from_config(config)
    with torch.no_grad():  # large enough that what is read matters
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(0.0, 0.3)
    return model.train()


def step_of(model: Any, rows: tuple[int, ...] = (0, 1)) -> Step:
    """Return a batch of rows of unlike length, whose padding would matter if it counted."""
    encodes = model.config.is_encoder_decoder
    learner = GenerationLearner("translation", start=0 if encodes else None)
    read, targets = [], []
    for row in rows:
        prompt, reply = PROMPTS[row], REPLIES[row]
        read.append(prompt if encodes else [*prompt, *reply])
        behind = [*[IGNORED] * (len(prompt) - 1), *reply, IGNORED]
        targets.append(reply if encodes else behind)
    labels = learner.as_tensor(targets)
    inputs = {**pad(read, 0), **learner.more_inputs(labels, 0)}
    return Step(model, inputs, labels, learner, n_items=N_TOKENS if len(rows) > 1 else 1)


def told(model: Any, field: str = "logits", layer: int = -1) -> np.ndarray:
    """Return what stands where each token of the two replies is told, row alone by row alone."""
    found = []
    for row in (0, 1):
        inputs = step_of(model, (row,)).inputs
        with torch.no_grad():
            outputs = model.eval()(**inputs, output_hidden_states=True)
        model.train()
        values = getattr(outputs, field)
        values = values[layer] if isinstance(values, tuple) else values
        n_reply = len(REPLIES[row])
        encodes = model.config.is_encoder_decoder
        first = 0 if encodes else len(PROMPTS[row]) - 1
        found.append(values[0, first : first + n_reply].numpy())
    return np.concatenate(found)


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_distillation_is_that_of_each_token_to_be_written(architecture: str) -> None:
    """0.3 CE + 0.7 * 2^2 * mean over eight tokens of KL(p_T at 2 || p_S at 2), by numpy."""
    student, teacher = writer(architecture, 0), writer(architecture, 1)
    tokens = np.concatenate(REPLIES)
    mine, theirs = told(student), told(teacher)
    p, q = softmax(theirs / 2), softmax(mine / 2)
    clean = -np.log(softmax(mine)[np.arange(N_TOKENS), tokens]).mean()
    expected = 0.3 * clean + 0.7 * 4 * (p * np.log(p / q)).sum() / N_TOKENS
    found = Distillation(weight=0.7, teachers=(LiveTeacher(teacher),))(step_of(student))
    assert found.item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_old_model_is_heard_at_each_token_to_be_written(architecture: str) -> None:
    new, old = writer(architecture, 0), writer(architecture, 1)
    p, q = softmax(told(old) / 2), softmax(told(new) / 2)
    expected = 3 * (p * np.log(p / q)).sum() / N_TOKENS
    found = LwF(weight=3.0, old_model=LiveTeacher(old))(step_of(new))
    assert found.item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("positions", ["all", "first"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_hidden_states_are_those_that_tokens_are_told_from(architecture, positions) -> None:
    student, teacher = writer(architecture, 0), writer(architecture, 1)
    encodes = student.config.is_encoder_decoder
    field = "decoder_hidden_states" if encodes else "hidden_states"
    distances = (told(student, field) - told(teacher, field)) ** 2
    counted = distances.mean(axis=1) if positions == "all" else distances.mean(axis=1)[[0, 3]]
    live = LiveTeacher(teacher, keeps_hidden_states=True)
    last = 1 if encodes else 2
    objective = HiddenDistillation(live, ((last, last),), positions=positions, written=True)
    step = step_of(student)
    step.keeps_hidden_states = True
    assert objective(step).item() == pytest.approx(counted.sum() / N_TOKENS, rel=1e-4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_fisher_information_is_that_of_whole_replies(architecture: str) -> None:
    """The mean over rows of the squared slope of log p(reply | prompt), the sum over its tokens."""
    model = writer(architecture, 0)
    found = estimate_fisher([step_of(model, (row,)) for row in (0, 1)])
    name, weight = next((n, w) for n, w in model.named_parameters() if n in found and w.ndim > 1)
    squares = torch.zeros_like(weight)
    for row in (0, 1):
        step = step_of(model, (row,))
        logits = model.eval()(**step.inputs).logits[0].log_softmax(-1)
        first = 0 if model.config.is_encoder_decoder else len(PROMPTS[row]) - 1
        said = sum(logits[first + i, token] for i, token in enumerate(REPLIES[row]))
        (slope,) = torch.autograd.grad(said, weight)
        squares += slope**2 / 2
    torch.testing.assert_close(found[name], squares, rtol=1e-4, atol=1e-6)
