"""Continued pre-training: losses against transformers' own, rows, epochs, accumulation."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from tiny_models import configurations
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, GPT2Config

from pipeline_steps.training.objectives.adversarial import FGM
from pipeline_steps.training.objectives.combined import total_loss
from pipeline_steps.training.objectives.consistency import RDrop
from pipeline_steps.training.objectives.distillation import Distillation
from pipeline_steps.training.objectives.freelb import FreeLB
from pipeline_steps.training.objectives.language_modelling import (
    CausalLanguageModel,
    CausalRows,
    MaskedLanguageModel,
    MaskedRows,
    TokenLabelCollator,
)
from pipeline_steps.training.objectives.masking import Masking
from pipeline_steps.training.objectives.smart import SMART
from pipeline_steps.training.objectives.step import Step
from pipeline_steps.training.objectives.teachers import LiveTeacher

ROWS = [[2, *range(10, 30), 3], [2, *range(30, 37), 3], [2, 40, 41, 3]]
MASKING = Masking(mask_id=4, special_ids=frozenset(range(5)), vocabulary_size=64)


def masked_model(architecture: str = "bert", seed: int = 0):
    torch.manual_seed(seed)
    return AutoModelForMaskedLM.from_config(configurations()[architecture])


def causal_model(seed: int = 0):
    torch.manual_seed(seed)
    return AutoModelForCausalLM.from_config(
        GPT2Config(vocab_size=64, n_embd=16, n_layer=2, n_head=2, n_positions=64, bos_token_id=2,
                   eos_token_id=3)
    )  # fmt: skip


def make_step(kind: str, model=None) -> Step:
    if kind == "masked":
        rows, problem = MaskedRows(ROWS, MASKING, seed=0), MaskedLanguageModel()
    else:
        rows, problem = CausalRows(ROWS), CausalLanguageModel()
    batch = TokenLabelCollator(0)([rows[index] for index in range(3)])
    labels = batch.pop("labels")
    if model is None:
        model = masked_model() if kind == "masked" else causal_model()
    return Step(model, batch, labels, problem, problem.n_items(labels))


@pytest.mark.parametrize("kind", ["masked", "causal"])
def test_the_loss_is_that_of_transformers(kind) -> None:
    step = make_step(kind)
    step.model.eval()
    expected = step.model(**step.inputs, labels=step.labels).loss
    assert step.loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_items_are_the_tokens_that_are_asked() -> None:
    """Of 20, 7 and 2 tokens 3, 1 and 1 are asked; causal, all but the first of 22, 9 and 4."""
    assert make_step("masked").n_items == 5
    assert make_step("causal").n_items == 21 + 8 + 3


@pytest.mark.parametrize("kind", ["masked", "causal"])
def test_accumulated_batches_add_up(kind) -> None:
    step = make_step(kind)
    step.model.eval()
    parts = [
        Step(
            step.model,
            {name: value[i : i + 1] for name, value in step.inputs.items()},
            step.labels[i : i + 1],
            step.problem,
            step.n_items,
        ).loss.item()
        for i in range(3)
    ]
    assert sum(parts) == pytest.approx(step.loss.item(), rel=1e-5)


@pytest.mark.parametrize("kind", ["masked", "causal"])
def test_divergence_counts_where_tokens_are_asked(kind) -> None:
    step = make_step(kind)
    logits = step.outputs.logits.detach()
    told = step.labels != -100
    if kind == "causal":  # asked one position earlier
        told = torch.cat([told[:, 1:], torch.zeros(3, 1, dtype=torch.bool)], dim=1)
    elsewhere = logits + 5.0 * torch.randn_like(logits) * ~told.unsqueeze(-1)

    def divergence(a, b):
        outputs = (SimpleNamespace(logits=a), SimpleNamespace(logits=b))
        return step.problem.divergence(*outputs, step.labels, step.n_items).item()

    assert divergence(logits, elsewhere) == 0.0
    assert divergence(logits, logits + torch.randn_like(logits)) > 0


@pytest.mark.parametrize("kind", ["masked", "causal"])
@pytest.mark.parametrize("objective", [FGM(), FreeLB(), SMART(epsilon=0.1, step_size=0.1), RDrop()])
def test_objectives_work_on_tokens(kind, objective) -> None:
    step = make_step(kind)
    found = total_loss(step, [objective])
    found.total.backward()
    assert torch.isfinite(found.total)
    assert step.model.get_input_embeddings().weight.grad.abs().sum() > 0


@pytest.mark.parametrize("kind", ["masked", "causal"])
def test_a_teacher_that_agrees_on_every_token_costs_nothing(kind) -> None:
    model = masked_model() if kind == "masked" else causal_model()
    twin = masked_model() if kind == "masked" else causal_model()
    found = Distillation(weight=1.0, teachers=(LiveTeacher(twin),))(make_step(kind, model.eval()))
    assert found.item() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("architecture", list(configurations()))
def test_every_encoder_learns_its_masked_tokens(architecture) -> None:
    step = make_step("masked", masked_model(architecture))
    step.loss.backward()
    assert step.loss.item() == pytest.approx(4.16, abs=0.5)  # log 64
    assert step.model.get_input_embeddings().weight.grad.abs().sum() > 0


def test_masks_change_with_the_epoch_and_come_back() -> None:
    rows = MaskedRows(ROWS, MASKING, seed=0)
    first = [rows[index] for index in range(3)]
    rows.set_epoch(1)
    second = [rows[index] for index in range(3)]
    rows.set_epoch(0)
    assert first != second
    assert [rows[index] for index in (2, 0, 1)] == [first[2], first[0], first[1]]


def test_rows_know_their_words() -> None:
    masking = Masking(4, MASKING.special_ids, 64, share=0.5, whole_words=True)
    rows = MaskedRows([[2, 10, 11, 3]], masking, 0, words=[[None, 0, 0, None]])
    assert rows[0]["labels"] == [-100, 10, 11, -100]
    assert len(rows) == 1


def test_collation_pads_labels_with_what_does_not_count() -> None:
    batch = TokenLabelCollator(0)([CausalRows(ROWS)[1], CausalRows(ROWS)[2]])
    assert batch["labels"][1].tolist() == [2, 40, 41, 3, *[-100] * 5]
    assert batch["input_ids"][1].tolist() == [2, 40, 41, 3, *[0] * 5]
    assert batch["attention_mask"].sum(dim=1).tolist() == [9, 4]
    assert len(CausalRows(ROWS)) == 3
