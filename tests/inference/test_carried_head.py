"""A base with a head: its answers stay with their names, in every architecture."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_models import TARGETS, save_tiny_model, save_tokenizer

from pipeline_steps.inference.forward import pad
from pipeline_steps.inference.learners.relation_extraction import RelationLearner
from pipeline_steps.inference.learners.text_classification import TextClassificationLearner

ROWS = pad([[2, 7, 9, 3], [2, 11, 12, 3]], 0)


def saved(root: Path, architecture: str, labels: list[str], learner=None) -> Path:
    """Return a checkpoint with a head whose bias is told apart."""
    base = save_tiny_model(root / "base", architecture)
    torch.manual_seed(4)
    model, head = (learner or TextClassificationLearner()).build(base, labels)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name in head:
                weight.normal_(0.0, 0.3)
    model.save_pretrained(root / "old")
    return root / "old"


def logits(model) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(**ROWS).logits


@pytest.mark.parametrize("architecture", [*TARGETS])
@pytest.mark.parametrize("labels", [["a", "b", "c"], ["c", "a", "b"], ["c", "new", "a"],
                                    ["b", "x", "y", "a", "z"], ["b", "c"]])  # fmt: skip
def test_known_answers_are_as_before(labels, architecture, tmp_path: Path) -> None:
    old = saved(tmp_path, architecture, ["a", "b", "c"])
    before = logits(TextClassificationLearner().load(old))
    model, head = TextClassificationLearner().build(old, labels)
    after = logits(model)
    for index, label in enumerate(labels):
        if label in "abc":
            assert torch.allclose(after[:, index], before[:, "abc".index(label)], atol=1e-6)
        else:
            others = [before[:, k] for k in range(3)]
            assert not any(torch.allclose(after[:, index], other) for other in others)
    assert len([name for name in head if name.endswith("weight")]) >= 1


def test_a_head_of_another_kind_is_new(tmp_path: Path) -> None:
    old = saved(tmp_path, "bert", ["a", "b"])
    model, head = RelationLearner().build(old, ["a", "b"])
    assert model.num_labels == 4
    assert "classifier.weight" in head


def test_both_marks_of_a_relation_are_carried(tmp_path: Path) -> None:
    old = saved(tmp_path, "bert", ["a", "b"], RelationLearner())
    before = RelationLearner().load(old).classifier.weight
    after = RelationLearner().build(old, ["b", "n", "a"])[0].classifier.weight
    assert torch.equal(after[[0, 2, 3, 5]], before[[1, 0, 3, 2]])


def test_answers_of_a_base_in_shards_stay_with_their_names(tmp_path: Path) -> None:
    old = saved(tmp_path, "bert", ["neg", "pos"])
    model = TextClassificationLearner().load(old)
    before = logits(model)
    model.save_pretrained(tmp_path / "shards", max_shard_size="4KB")
    assert not (tmp_path / "shards" / "model.safetensors").exists()
    save_tokenizer(tmp_path / "shards")
    model, head = TextClassificationLearner().build(tmp_path / "shards", ["pos", "neg"])
    assert torch.allclose(logits(model), before.flip(1), atol=1e-6)
    assert head == ("classifier.bias", "classifier.weight")
