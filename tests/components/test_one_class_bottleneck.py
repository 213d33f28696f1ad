"""The one-class bottleneck: one embedding of all levels, by operators of torch."""

import pytest
import torch
import torch.nn.functional as F

from anomedge.components.one_class_bottleneck import OneClassBottleneck
from anomedge.components.residual_blocks import BlockKind

CHANNELS = [3, 4, 6]


def levels(count=3):
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(2, c, 32 >> k, 48 >> k, generator=generator)
        for k, c in enumerate(CHANNELS[-count:])
    ]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_embedding_has_half_of_the_coarsest_sides(count):
    features = levels(count)
    network = OneClassBottleneck(CHANNELS[-count:], BlockKind(), count=2)
    found = network.eval()(features)
    h, w = features[-1].shape[2:]
    assert found.shape == (2, 12, h // 2, w // 2)


def test_each_level_is_halved_to_the_coarsest_and_embedded_with_it():
    torch.manual_seed(1)
    network = OneClassBottleneck(CHANNELS, BlockKind(), count=2).eval()
    weights = network.state_dict()
    features = levels()

    def halved(x, name):
        # Untrained statistics: the normalisation divides by sqrt(1 + 1e-5).
        y = F.conv2d(x, weights[f"halve.{name}.weight"], stride=2, padding=1)
        return (y / (1 + 1e-5) ** 0.5).clamp_min(0)

    fine = halved(halved(features[0], "0.0"), "0.3")
    middle = halved(features[1], "1.0")
    whole = torch.cat([fine, middle, features[2]], dim=1)
    with torch.no_grad():
        expected = network.embed(whole)
        torch.testing.assert_close(network(features), expected)


def test_every_parameter_gets_a_gradient():
    network = OneClassBottleneck(CHANNELS, BlockKind(4), count=2)
    network(levels()).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.abs().sum() > 0, name
