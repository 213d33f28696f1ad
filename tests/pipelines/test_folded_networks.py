"""Networks of a detector as folded graphs; test_folding holds their values."""

import pytest
import torch
from torch import nn

from anomedge.errors import ExportError
from anomedge.pipelines import Config
from anomedge.pipelines.folded_networks import folded_networks, layer_of
from anomedge.resample import Geometry, Tiling
from tests.pipelines.brightness import Brightness, detector

GEOMETRY = Geometry((8, 8))
IMAGES = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def network_of(network, geometry=GEOMETRY, batch=None):
    pipeline = Brightness(Config(size=(8, 8)), net=network.eval())
    return folded_networks(pipeline, geometry, batch)["net"]


def test_graphs_take_any_batch_or_the_given_one():
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2))
    graph = network_of(network)
    for count in (1, 3):
        images = IMAGES[:count]
        assert torch.allclose(graph(images), network(images), atol=1e-6)
    fixed = network_of(network, batch=3)
    assert torch.allclose(fixed(IMAGES), network(IMAGES), atol=1e-6)


def test_networks_of_tiles_take_tiles():
    geometry = Geometry((8, 16), tiling=Tiling((8, 8), 0))
    graph = network_of(nn.Conv2d(3, 2, 3), geometry)
    assert graph(IMAGES).shape == (3, 2, 6, 6)


def test_the_detector_stays_as_it_is():
    made = detector()
    before = made.net.weight.clone()
    graph = folded_networks(made, GEOMETRY, None)["net"]
    assert torch.equal(made.net.weight, before)
    assert torch.equal(graph(IMAGES), made.net(IMAGES))


def test_nodes_have_the_path_of_their_layer():
    graph = network_of(nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU()))
    (found,) = (n for n in graph.graph.nodes if "conv2d" in str(n.target))
    assert layer_of(found) == "0"


def test_a_network_that_cannot_be_traced_is_refused():
    class Dependent(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(ExportError, match="the network net"):
        network_of(Dependent())
