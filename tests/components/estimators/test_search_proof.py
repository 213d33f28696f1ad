"""Distances beside the bounds of what was not measured."""

import math

import torch

from anomedge.components.estimators.int8_search import Int8Search
from anomedge.components.estimators.search_proof import Proof, proof_of


def search(n=3):
    made = Int8Search(n, 1, candidates=2)
    made.fill(torch.arange(float(n))[:, None] * 4)
    return made


def test_only_a_distance_below_every_other_bound_is_proven():
    # |y|^2 = 1; the others have squared distances of 2 (4 + ...) + 1 at least.
    offsets = [torch.tensor([[[1.0], [1.0], [1.0]]])]
    bounds = torch.tensor([[0.0, 4.0], [0.0, 4.0], [-1.0, -0.6]])
    distances = torch.tensor([2.9, 3.1, 0.5])
    found = proof_of(search(), offsets, distances, bounds)
    assert found.proven.tolist() == [[1, 0, 0]]
    proven, missed, low = found.excess[0].tolist()
    assert proven == 0
    assert math.isclose(missed, 0.1, abs_tol=1e-3)
    # A bound below zero says nothing: the distance could be zero.
    assert low == 0.5


def test_all_is_proven_where_all_is_measured():
    offsets = [torch.ones(1, 2, 1)]
    bounds = torch.full((2, 2), -9.0)
    found = proof_of(search(2), offsets, torch.ones(2), bounds)
    assert found.proven.tolist() == [[1, 1]]
    assert found.excess.tolist() == [[0, 0]]


def test_patches_outside_do_not_count():
    found = Proof(torch.tensor([[0.0, 0.0]]), torch.tensor([[2.0, 3.0]]))
    within = found.within(torch.tensor([1.0, 0.0]))
    assert within.proven.tolist() == [[0, 1]]
    assert within.excess.tolist() == [[2, 0]]
