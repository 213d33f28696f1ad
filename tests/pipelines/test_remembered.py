"""Remembered features: up to a limit, by the content of the images."""

import pytest
import torch

from anomedge.pipelines.remembered import RememberedExtractor, remember


def test_features_are_kept_up_to_a_limit():
    class Counting(torch.nn.Module):
        width, calls = 7, 0

        def forward(self, images):
            self.calls += 1
            return {"mean": images.mean(dim=(2, 3))}

    network = Counting()
    remembered = RememberedExtractor(network, most_bytes=2 * 3 * 4)
    images = torch.rand(3, 3, 4, 4)
    expected = network(images)["mean"]
    for batch in (images, images[:2], images[[1, 0]], images):
        remembered(batch)
    assert (network.calls, remembered.width) == (3, 7)
    assert torch.equal(remembered(images[[1, 0]])["mean"], expected[[1, 0]])


class Doubling(torch.nn.Module):
    layers = ("a",)

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, images):
        self.calls += 1
        return {"a": 2 * images, "b": images[:, :1]}


def test_known_images_are_answered_from_memory_in_any_order():
    network = Doubling()
    known = remember(network)
    images = torch.rand(3, 3, 4, 4)
    known(images)
    again = known(images[[2, 0]])
    assert network.calls == 1
    assert torch.equal(again["a"], 2 * images[[2, 0]])
    assert again["b"].shape == (2, 1, 4, 4)
    known(torch.cat([images[:1], 1 - images[:1]]))
    assert network.calls == 2


def test_what_is_kept_does_not_change_with_the_images():
    known = remember(Doubling())
    images = torch.rand(1, 3, 4, 4)
    first = known(images)
    expected = first["a"].clone()
    first["a"].zero_()
    assert torch.equal(known(images)["a"], expected)


def test_attributes_are_the_extractors_and_others_are_missing():
    known = remember(Doubling())
    assert known.layers == ("a",)
    with pytest.raises(AttributeError):
        _ = known.strides
