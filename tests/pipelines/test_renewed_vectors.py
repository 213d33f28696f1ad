"""Vectors of a bank, replaced by new features of their patches."""

import torch

from anomedge.pipelines.renewed_vectors import RenewedVectors


def test_each_vector_gets_the_new_features_of_its_nearest_patch():
    found = RenewedVectors(torch.tensor([[1.0, 0.0], [0.0, 2.0], [5.0, 5.0]]))
    distances = torch.tensor([0.3, 0.0, 0.0, 0.2])
    rows = torch.tensor([0, 0, 1, 1])
    found.take(distances, rows, torch.arange(8.0).reshape(4, 2))
    assert found.vectors.tolist() == [[2.0, 3.0], [4.0, 5.0], [5.0, 5.0]]
    nearer = torch.tensor([0.1]), torch.tensor([0]), torch.tensor([[9.0, 9.0]])
    found.take(*nearer)
    assert found.vectors[0].tolist() == [2.0, 3.0]


def test_a_nearer_patch_of_a_later_batch_replaces_the_earlier_one():
    found = RenewedVectors(torch.tensor([[1.0]]))
    row = torch.tensor([0])
    found.take(torch.tensor([0.5]), row, torch.tensor([[7.0]]))
    found.take(torch.tensor([0.1]), row, torch.tensor([[8.0]]))
    assert found.vectors.tolist() == [[8.0]]


def test_vectors_without_a_patch_of_their_own_tell_other_images():
    vectors = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 0.0]])
    found = RenewedVectors(vectors.clone())
    assert found.are_of_other_images
    own = torch.tensor([0.0, 1e-6]), torch.tensor([0, 1]), vectors[:2]
    found.take(*own)
    assert not found.are_of_other_images
    far = RenewedVectors(vectors.clone())
    far.take(torch.full((4,), 0.2), torch.arange(4), vectors)
    assert far.are_of_other_images
