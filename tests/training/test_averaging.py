"""Averages of the weights along a run, by hand and by their laws."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.errors import TrainingError
from pipeline_steps.training.averaging import (
    ExponentialAverage,
    UniformAverage,
    averaged_weights,
)

AVERAGERS = [
    lambda: ExponentialAverage(0.5),
    lambda: ExponentialAverage(0.5, bias_correction=False),
    UniformAverage,
]
values = st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=12)


class Weights:
    """One weight that learns and one that does not."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.moving = torch.nn.Parameter(torch.zeros(1, dtype=dtype))
        self.frozen = torch.nn.Parameter(torch.full((1,), 7.0), requires_grad=False)

    def named(self) -> list[tuple[str, torch.nn.Parameter]]:
        return [("moving", self.moving), ("frozen", self.frozen)]

    def value(self) -> float:
        return self.moving.item()

    def set(self, value: float) -> None:
        self.moving.data.fill_(value)


def averaged(averager, numbers: list[float]) -> float:
    weights = Weights()
    for number in numbers:
        weights.set(number)
        averager.step(weights.named())
    return float(averager.averages()["moving"])


def test_the_exponential_average_by_hand() -> None:
    """Weights 8, 4, 2 with decay 1/2: from zero 4, 4, 3, corrected by 1 - 1/8."""
    assert averaged(ExponentialAverage(0.5), [8, 4, 2]) == pytest.approx(3 / (7 / 8))
    assert averaged(ExponentialAverage(0.5, bias_correction=False), [8, 4, 2]) == 4.0


def test_the_uniform_average_by_hand() -> None:
    assert averaged(UniformAverage(), [8, 4, 3]) == 5.0


@pytest.mark.parametrize("make", AVERAGERS)
@given(value=st.floats(-100, 100, width=32), n_steps=st.integers(1, 20))
def test_the_average_of_equals_is_the_value(make, value, n_steps) -> None:
    assert averaged(make(), [value] * n_steps) == pytest.approx(value, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("make", AVERAGERS)
@given(numbers=values)
def test_the_average_lies_between_the_extremes(make, numbers) -> None:
    found = averaged(make(), numbers)
    assert min(numbers) - 1e-3 <= found <= max(numbers) + 1e-3


@given(numbers=values)
def test_the_uniform_average_is_the_mean(numbers) -> None:
    mean = sum(numbers) / len(numbers)
    assert averaged(UniformAverage(), numbers) == pytest.approx(mean, rel=1e-4, abs=1e-3)


@pytest.mark.parametrize("make", AVERAGERS)
def test_a_resumed_average_is_bit_for_bit_the_same(make) -> None:
    numbers = [0.1 * index**2 for index in range(9)]
    weights, first = Weights(), make()
    for number in numbers[:4]:
        weights.set(number)
        first.step(weights.named())
    second = make()
    second.load_state_dict({name: t.clone() for name, t in first.state_dict().items()})
    for number in numbers[4:]:
        weights.set(number)
        second.step(weights.named())
    assert float(second.averages()["moving"]) == averaged(make(), numbers)


@pytest.mark.parametrize("make", AVERAGERS)
def test_the_state_is_of_tensors_of_what_learns(make) -> None:
    averager = make()
    averager.step(Weights().named())
    state = averager.state_dict()
    assert all(isinstance(tensor, torch.Tensor) for tensor in state.values())
    assert state.keys() == {"n_steps", "average/moving"}


def fail_inside(averager, weights: Weights) -> None:
    with averaged_weights(averager, weights.named()):
        assert weights.value() == 2.0
        assert weights.frozen.item() == 7.0
        raise KeyError("stop")


def test_the_model_has_its_own_weights_again_afterwards() -> None:
    weights, averager = Weights(), UniformAverage()
    for number in (1.0, 3.0):
        weights.set(number)
        averager.step(weights.named())
    with pytest.raises(KeyError, match="stop"):
        fail_inside(averager, weights)
    assert weights.value() == 3.0


def test_before_the_first_step_the_weights_stay() -> None:
    weights = Weights()
    weights.set(5.0)
    with averaged_weights(ExponentialAverage(0.9), weights.named()):
        assert weights.value() == 5.0


def test_half_precision_weights_are_averaged_in_fp32() -> None:
    """In bf16 the steps of a slow average would be rounded away."""
    weights, averager = Weights(torch.bfloat16), ExponentialAverage(0.999, bias_correction=False)
    weights.set(1.0)
    averager.step(weights.named())
    weights.set(2.0)
    for _ in range(10):
        averager.step(weights.named())
    assert float(averager.averages()["moving"]) == pytest.approx(2 - 0.999**10, rel=1e-5)


@pytest.mark.parametrize("make", AVERAGERS)
def test_other_weights_than_before_are_refused(make) -> None:
    weights, averager = Weights(), make()
    averager.step(weights.named())
    weights.frozen.requires_grad_()
    with pytest.raises(TrainingError, match=r"1 weights learn but are not averaged.*frozen"):
        averager.step(weights.named())
    with (
        pytest.raises(TrainingError, match="1 weights learn but are not averaged"),
        averaged_weights(averager, weights.named()),
    ):
        pass
