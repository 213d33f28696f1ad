"""Tensors of networks and optimisers: stored, restored, and those of others refused."""

import copy

import pytest
import torch
from torch import nn

from anomedge.errors import ModelError
from anomedge.pipelines.training.restoring import (
    changing_tensors,
    load_optimiser,
    load_tensors,
    optimiser_content,
    random_states,
    restore_random,
    with_prefix,
    without_prefix,
)

CPU = torch.device("cpu")


def network():
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    made[2].requires_grad_(False)
    return made


def stepped(made):
    optimiser = torch.optim.AdamW(changed(made), lr=0.1)
    made(torch.ones(4, 2)).sum().backward()
    optimiser.step()
    return optimiser


def changed(made):
    return [each for each in made.parameters() if each.requires_grad]


def test_frozen_parameters_do_not_change_and_buffers_do():
    names = set(changing_tensors(network()))
    assert {"0.weight", "0.bias", "1.running_mean"} <= names
    assert "2.weight" not in names


def test_tensors_are_copied_and_others_are_refused():
    made, other = network(), network()
    with torch.no_grad():
        made[0].weight.fill_(5)
    tensors = changing_tensors(made)
    load_tensors(other, tensors)
    assert (other[0].weight == 5).all()
    with pytest.raises(ModelError, match="others"):
        load_tensors(other, tensors | {"more": torch.ones(1)})
    with pytest.raises(ModelError, match=r"0\.weight is \(1,\)"):
        load_tensors(other, tensors | {"0.weight": torch.ones(1)})


def test_a_restored_optimiser_takes_the_same_next_step():
    made = network()
    optimiser = stepped(made)
    plain, tensors = optimiser_content(optimiser, None)
    plain, tensors = copy.deepcopy((plain, tensors))
    twin = copy.deepcopy(made)
    other = torch.optim.AdamW(changed(twin), lr=0.1)
    load_optimiser(other, None, plain, tensors)
    for each, used in ((made, optimiser), (twin, other)):
        used.zero_grad()
        each(torch.ones(4, 2)).sum().backward()
        used.step()
    assert torch.equal(made[0].weight, twin[0].weight)


def test_the_state_of_another_optimiser_is_refused():
    plain, tensors = optimiser_content(stepped(network()), None)
    other = torch.optim.SGD(changed(network()), lr=0.1)
    with pytest.raises(ModelError, match="another"):
        load_optimiser(other, None, plain, tensors)


def test_random_numbers_continue():
    states = random_states(CPU)
    expected = torch.rand(3)
    torch.rand(5)
    restore_random(states, CPU)
    assert torch.equal(torch.rand(3), expected)
    with pytest.raises(ModelError):
        restore_random({"cpu": torch.zeros(3, dtype=torch.uint8)}, CPU)


def test_prefixes_are_taken_off_again():
    tensors = {"a": torch.ones(1), "b.c": torch.ones(2)}
    both = with_prefix("x", tensors) | with_prefix("xy", tensors)
    assert list(without_prefix("x", both)) == ["a", "b.c"]
