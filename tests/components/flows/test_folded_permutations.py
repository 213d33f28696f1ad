"""Learned permutations: a frozen flow block multiplies its reflections out once."""

import copy

import numpy as np
import pytest
import torch

from anomedge.components.flows.all_in_one import AllInOneBlock
from tests.components.flows.cases import dense, shaken


@pytest.mark.parametrize("soft", [False, True])
def test_torchs_seed_fixes_the_block_and_numpys_state_is_left_alone(soft):
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the global state is what is asked about
    blocks = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        blocks.append(
            AllInOneBlock([(32,)], subnet_constructor=dense, permute_soft=soft)
        )
    assert torch.equal(blocks[0].w_perm, blocks[1].w_perm)
    assert not torch.equal(blocks[0].w_perm, blocks[2].w_perm)
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def learned(**more):
    torch.manual_seed(0)
    return shaken(
        AllInOneBlock(
            [(6,)],
            subnet_constructor=dense,
            learned_householder_permutation=3,
            **more,
        )
    )


def never(*_):
    raise AssertionError("multiplied out inside forward")


def as_constructed(block, x):
    """What the block must give, from a copy in train mode, which multiplies out at every call."""
    return copy.deepcopy(block).train().requires_grad_(True)([x])


def agrees(block, x):
    (z,), log_jacobian = block([x])
    (expected,), expected_jacobian = as_constructed(block, x)
    torch.testing.assert_close(z, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(
        log_jacobian, expected_jacobian, rtol=0, atol=1e-12
    )
    return True


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("frozen", ["eval", "no gradient"])
def test_a_frozen_block_multiplies_out_once(
    reverse, frozen, float64, monkeypatch
):
    block = learned(reverse_permutation=reverse).eval()
    if frozen == "no gradient":
        block.train().requires_grad_(False)
    x = torch.randn(4, 6)
    (expected,), _ = as_constructed(block, x)
    monkeypatch.setattr(block, "_construct_householder_permutation", never)
    (z,), _ = block([x])
    torch.testing.assert_close(z, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(block([z], rev=True)[0][0], x, rtol=0, atol=1e-9)


@pytest.mark.parametrize("mode", [True, False])
def test_forward_assigns_nothing(mode):
    block = learned(reverse_permutation=True).train(mode)
    attributes = dict(vars(block))
    members = {
        name: (id(value), value._version)
        for name, value in [*block.named_buffers(), *block.named_parameters()]
    }
    block(block([torch.randn(2, 6)])[0], rev=True)
    assert vars(block) == attributes
    assert members == {
        name: (id(value), value._version)
        for name, value in [*block.named_buffers(), *block.named_parameters()]
    }


def test_the_folded_matrix_is_not_stored():
    assert {"w_perm", "w_perm_inv"}.isdisjoint(learned().eval().state_dict())


def test_what_was_learned_is_folded(float64):
    block, x = learned(), torch.randn(4, 6)
    before = block.w_perm.clone()
    optimiser = torch.optim.SGD(block.parameters(), lr=0.1)
    block([x])[0][0][:, 0].sum().backward()
    optimiser.step()
    assert agrees(block, x)
    block.eval()
    assert not torch.allclose(block.w_perm, before)
    assert agrees(block, x)


def test_vectors_frozen_after_training_are_not_stale(float64):
    block, x = learned(), torch.randn(4, 6)
    with torch.no_grad():
        block.vk_householder.add_(1)
    block.vk_householder.requires_grad_(False)
    assert agrees(block, x)


@pytest.mark.parametrize(
    "write", ["in place", "another parameter", "assigned", "copied", "moved"]
)
def test_vectors_changed_in_eval_mode_are_noticed(write, float64):
    block, other, x = learned().eval(), learned(), torch.randn(4, 6)
    shaken(other)
    if write == "in place":
        with torch.no_grad():
            block.vk_householder.mul_(
                torch.tensor([[2.0], [-1.0], [1.0]])
            ).add_(0.5)
    elif write == "another parameter":
        block.vk_householder = other.vk_householder
    elif write == "assigned":
        block.load_state_dict(other.state_dict(), assign=True)
    elif write == "copied":
        block.load_state_dict(other.state_dict())
    else:
        block = block.to(torch.float32).to(torch.float64)
    assert agrees(block, x)


def test_a_changed_precision_is_folded_in_that_precision():
    block = learned().eval().double()
    expected = block._construct_householder_permutation()
    assert block.w_perm.dtype == torch.float64
    torch.testing.assert_close(
        block.w_perm, expected.detach(), rtol=0, atol=1e-15
    )
    torch.testing.assert_close(
        block.w_perm @ block.w_perm_inv,
        torch.eye(6).double(),
        rtol=0,
        atol=1e-12,
    )


def test_a_copy_folds_its_own(float64, monkeypatch):
    block, x = learned().eval(), torch.randn(4, 6)
    other = copy.deepcopy(block)
    with torch.no_grad():
        other.vk_householder.add_(1)
    other.eval()
    assert not torch.allclose(other.w_perm, block.w_perm)
    monkeypatch.setattr(
        copy.deepcopy(block), "_construct_householder_permutation", never
    )
    twin = copy.deepcopy(block)
    monkeypatch.setattr(twin, "_construct_householder_permutation", never)
    torch.testing.assert_close(twin([x]), block([x]), rtol=0, atol=0)


def test_vectors_lent_for_one_call_are_used(float64):
    block, x = learned().eval(), torch.randn(4, 6)
    vectors = torch.randn(3, 6, requires_grad=True)
    (z,), _ = torch.func.functional_call(
        block, {"vk_householder": vectors}, ([x],)
    )
    assert not torch.allclose(z, block([x])[0][0])
    assert torch.autograd.grad(z[:, 0].sum(), vectors)[0].any()


def test_eval_under_inference_mode_leaves_a_block_that_gradients_pass():
    block = learned()
    with torch.inference_mode():
        block.eval()
    x = torch.randn(2, 6, requires_grad=True)
    block([x])[0][0].square().sum().backward()
    assert x.grad.any()


def test_a_block_made_under_inference_mode_runs():
    with torch.inference_mode():
        block = learned().eval()
        x = torch.randn(2, 6)
        torch.testing.assert_close(
            block(block([x])[0], rev=True)[0][0], x, rtol=0, atol=1e-4
        )


def test_a_block_without_storage_takes_a_state():
    state = learned().state_dict()
    with torch.device("meta"):
        hollow = learned()
    filled = hollow.to_empty(device="cpu")
    filled.load_state_dict(state)
    x = torch.randn(2, 6)
    torch.testing.assert_close(
        filled.eval()([x]), learned().eval()([x]), rtol=0, atol=1e-6
    )
