"""Soups and the way back to the base, on numbers that can be added by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from tiny_models import save_tiny_model

from pipeline_steps.errors import TrainingError
from pipeline_steps.training.soup import Member, greedy_soup, towards_base, uniform_soup

floats = st.floats(-1e6, 1e6, width=32)


def member(name: str, *numbers: float, labels: tuple[str, ...] = ("no", "yes")) -> Member:
    state = {"body": torch.tensor(numbers), "ids": torch.arange(3)}
    return Member(name, labels, state)


def test_the_uniform_soup_by_hand() -> None:
    soup = uniform_soup([member("a", 1.0, 2.0), member("b", 3.0, 6.0), member("c", 5.0, 1.0)])
    assert soup["body"].tolist() == [3.0, 3.0]
    assert soup["ids"].tolist() == [0, 1, 2]


@given(numbers=st.lists(floats, min_size=1, max_size=5), n=st.integers(2, 5))
def test_a_soup_of_equals_is_what_went_in(numbers, n) -> None:
    soup = uniform_soup([member(str(index), *numbers) for index in range(n)])
    assert torch.equal(soup["body"], torch.tensor(numbers))


@given(numbers=st.lists(floats, min_size=3, max_size=3))
def test_the_order_of_members_does_not_matter(numbers) -> None:
    members = [member(str(index), number) for index, number in enumerate(numbers)]
    forth, back = uniform_soup(members), uniform_soup(members[::-1])
    torch.testing.assert_close(forth["body"], back["body"])


def closeness(state) -> float:
    """Return a score that is best at 2."""
    return -abs(float(state["body"][0]) - 2.0)


def test_the_greedy_soup_takes_who_helps() -> None:
    """1.5 alone is best; with 2.75 the mean is 2.125, better; with -8 it would be worse."""
    members = [member("far", -8.0), member("good", 2.75), member("best", 1.5)]
    soup, names = greedy_soup(members, closeness)
    assert names == ("best", "good")
    assert soup["body"].tolist() == [2.125]


def test_the_greedy_soup_is_never_worse_than_the_best_member() -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        numbers = torch.randn(6, generator=generator).tolist()
        members = [member(str(index), number) for index, number in enumerate(numbers)]
        soup, names = greedy_soup(members, closeness)
        assert closeness(soup) >= max(closeness(m.state) for m in members)
        assert names


def test_between_base_and_tuned_by_hand() -> None:
    tuned = {"body": torch.tensor([4.0]), "head": torch.tensor([9.0])}
    base = {"body": torch.tensor([0.0])}
    between = towards_base(tuned, base, 0.25, {"head"})
    assert between["body"].tolist() == [1.0]
    assert between["head"].tolist() == [9.0]


@given(tuned=floats, base=floats)
def test_at_the_ends_stand_the_base_and_the_tuned_model(tuned, base) -> None:
    states = ({"w": torch.tensor([tuned])}, {"w": torch.tensor([base])})
    assert torch.equal(towards_base(*states, 1.0, set())["w"], states[0]["w"])
    assert torch.equal(towards_base(*states, 0.0, set())["w"], states[1]["w"])


def test_a_head_in_the_base_is_not_mixed_in() -> None:
    """The base as it was built had a random one."""
    tuned = {"body": torch.tensor([4.0]), "head": torch.tensor([9.0])}
    base = {"body": torch.tensor([0.0]), "head": torch.tensor([-100.0])}
    assert towards_base(tuned, base, 0.5, {"head"})["head"].tolist() == [9.0]


def test_the_weights_of_a_checkpoint_can_be_mixed(tmp_path) -> None:
    states = [
        load_file(save_tiny_model(tmp_path / str(seed), seed=seed) / "model.safetensors")
        for seed in (0, 1)
    ]
    soup = uniform_soup([Member(str(i), (), state) for i, state in enumerate(states)])
    assert soup.keys() == states[0].keys()
    for name, tensor in soup.items():
        assert tensor.dtype == states[0][name].dtype
        torch.testing.assert_close(tensor, (states[0][name] + states[1][name]) / 2)


@pytest.mark.parametrize("n", [0, 1])
def test_a_lone_member_is_no_soup(n) -> None:
    members = [member("a", 1.0)][:n]
    with pytest.raises(TrainingError, match=rf"a soup of {n} member"):
        uniform_soup(members)
    with pytest.raises(TrainingError, match=rf"a soup of {n} member"):
        greedy_soup(members, closeness)


@pytest.mark.parametrize("soup", [uniform_soup, lambda members: greedy_soup(members, closeness)])
def test_other_labels_or_shapes_are_refused(soup) -> None:
    first = member("a", 1.0)
    with pytest.raises(TrainingError, match="a has the labels no, yes; b has yes, no"):
        soup([first, member("b", 1.0, labels=("yes", "no"))])
    with pytest.raises(TrainingError, match=r"1 weights of a and b do not fit.*\(1,\) and \(2,\)"):
        soup([first, member("b", 1.0, 2.0)])


def test_a_base_that_lacks_more_than_the_head_is_refused() -> None:
    tuned = {"body": torch.ones(1), "more": torch.ones(1), "head": torch.ones(1)}
    with pytest.raises(
        TrainingError, match=r"1 weights of the base and the tuned model.*more: Non"
    ):
        towards_base(tuned, {"body": torch.ones(1)}, 0.5, {"head"})


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_an_alpha_outside_of_zero_and_one_is_refused(alpha) -> None:
    with pytest.raises(TrainingError, match="alpha is"):
        towards_base({}, {}, alpha, set())
