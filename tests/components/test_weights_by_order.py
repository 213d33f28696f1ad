"""Tensors of a file matched to an architecture by their order."""

import pytest
import torch

from anomedge.components.weights_by_order import OrderMismatch, matched_by_order


def test_a_file_that_fits_twice_is_refused():
    """Sorted by name, 10 comes before 2; both orders have the same shapes."""
    want = {f"block.{i}.weight": torch.zeros(4, 4) for i in range(3)}
    have = {f"b.{i}.weight": torch.rand(4, 4) for i in (1, 10, 2)}
    with pytest.raises(OrderMismatch, match="fit twice"):
        matched_by_order(want, have, in_order_of_names=True)
    matched = matched_by_order(want, have, in_order_of_names=False)
    assert matched["block.1.weight"] is have["b.10.weight"]


def test_a_module_with_leaves_in_another_order_keeps_their_names():
    want = {"bn.weight": torch.zeros(4), "bn.bias": torch.zeros(4)}
    have = {"n.beta": torch.ones(4), "n.gamma": torch.zeros(4)}
    matched = matched_by_order(want, have, in_order_of_names=False)
    assert matched["bn.bias"] is have["n.beta"]
    assert matched["bn.weight"] is have["n.gamma"]


def test_unknown_leaf_names_are_refused():
    want = {"bn.weight": torch.zeros(4), "bn.bias": torch.zeros(4)}
    have = {"n.a": torch.ones(4), "n.b": torch.zeros(4)}
    with pytest.raises(OrderMismatch, match=r"n has a \(4,\), b \(4,\)"):
        matched_by_order(want, have, in_order_of_names=False)


def test_two_names_of_one_leaf_are_refused():
    want = {"bn.weight": torch.zeros(4)}
    have = {"n.gamma": torch.ones(4), "n.weight": torch.zeros(4)}
    with pytest.raises(OrderMismatch, match="twice"):
        matched_by_order(want, have, in_order_of_names=False)
