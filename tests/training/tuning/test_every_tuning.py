"""Every tuning method in every architecture: what learns, what is saved, what is refused."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification
from tuned_models import (
    ARCHITECTURES,
    METHODS,
    REFUSED,
    learning,
    logits,
    train,
    with_head,
)

from pipeline_steps.errors import CheckpointError, TrainingError
from pipeline_steps.inference.unmerged.storage import load_model
from pipeline_steps.training.tuning.rates import is_head

ALL = list(itertools.product(METHODS, ARCHITECTURES))
ACCEPTED = [pair for pair in ALL if pair not in REFUSED]


@pytest.mark.parametrize(("method", "architecture"), ACCEPTED)
def test_what_was_trained_is_what_is_loaded_again(method, architecture, bases, tmp_path) -> None:
    """Tuned for some steps, saved and loaded: the logits are the same, and not the base's."""
    model, head = with_head(bases[architecture])
    before = logits(model)
    tuning = METHODS[method]
    tuned = tuning.apply(model, head)
    train(tuned)
    trained = logits(tuned)
    assert (trained - before).abs().max() > 0.05
    finished = tuning.finish(tuned)
    torch.testing.assert_close(logits(finished), trained, rtol=1e-4, atol=1e-5)
    finished.save_pretrained(tmp_path)
    loaded = load_model(tmp_path, AutoModelForSequenceClassification)
    torch.testing.assert_close(logits(loaded), trained, rtol=1e-4, atol=1e-5)
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".bin", ".pt", ".pkl")]


@pytest.mark.parametrize(("method", "architecture"), ACCEPTED)
def test_the_head_learns_whole_and_what_learns_gets_gradients(method, architecture, bases) -> None:
    model, head = with_head(bases[architecture])
    frozen = {name: p.detach().clone() for name, p in model.named_parameters()}
    tuned = METHODS[method].apply(model, head)
    names = learning(tuned)
    in_head = {name for name in names if is_head(name, head)}
    assert len(in_head) == len(head) > 0
    train(tuned)
    for name, parameter in tuned.named_parameters():
        assert (parameter.grad is not None) == (name in names), name
        if name in frozen and name not in names:
            assert torch.equal(parameter, frozen[name]), name


@pytest.mark.parametrize(("method", "architecture"), sorted(REFUSED))
def test_what_cannot_work_is_refused(method, architecture, bases) -> None:
    model, head = with_head(bases[architecture])
    with pytest.raises(TrainingError, match=REFUSED[method, architecture]):
        METHODS[method].apply(model, head)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_the_seed_of_the_method_decides_what_is_drawn(method, bases) -> None:
    """Whatever the global generator stands at."""
    states = []
    for global_seed in (0, 1):
        model, head = with_head(bases["bert"])
        torch.manual_seed(global_seed)
        states.append(METHODS[method].apply(model, head).state_dict())
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize("method", ["houlsby", "prompt", "prefix"])
def test_a_program_without_adapters_finds_no_model_at_the_top(method, bases, tmp_path) -> None:
    """It would answer otherwise than what was validated."""
    model, head = with_head(bases["bert"])
    tuned = METHODS[method].apply(model, head)
    METHODS[method].finish(tuned).save_pretrained(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "plain"]
    plain = load_file(tmp_path / "plain" / "model.safetensors")
    assert plain.keys() == with_head(bases["bert"])[0].state_dict().keys()


def broken(kind: str, adapter: Path) -> None:
    """Break a saved adapter in one way."""
    description, tensors = adapter / "adapter.json", adapter / "adapter.safetensors"
    if kind == "missing description":
        description.unlink()
    elif kind == "unknown kind":
        description.write_text(json.dumps({"kind": "prompting", "n_tokens": 5}))
    elif kind == "other size":
        description.write_text(json.dumps({"kind": "prompt", "n_tokens": 6}))
    elif kind == "truncated tensors":
        tensors.write_bytes(tensors.read_bytes()[:-4])
    elif kind == "other tensors":
        save_file({"x": torch.zeros(1)}, tensors)


@pytest.mark.parametrize(
    "kind",
    ["missing description", "unknown kind", "other size", "truncated tensors", "other tensors"],
)
def test_an_adapter_that_does_not_fit_is_refused(kind, bases, tmp_path) -> None:
    model, head = with_head(bases["bert"])
    tuned = METHODS["prompt"].apply(model, head)
    METHODS["prompt"].finish(tuned).save_pretrained(tmp_path)
    broken(kind, tmp_path / "adapter")
    with pytest.raises(CheckpointError, match="holds no adapter for this model"):
        load_model(tmp_path, AutoModelForSequenceClassification)
