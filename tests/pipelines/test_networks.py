"""Inputs of a detector's networks, from a run without data."""

import pytest
import torch

from anomedge.errors import InputError, ModelError
from anomedge.pipelines import Prediction
from anomedge.pipelines.networks import (
    map_tensors,
    network_inputs,
    network_of,
)
from tests.pipelines.brightness import Brightness, detector


def test_a_network_gets_zeros_of_its_shape():
    made = detector()
    found = network_inputs(made, 3, (8, 10))
    assert found.keys() == {"net"}
    (given,) = found["net"]
    assert given.shape == (3, 3, 8, 10)
    assert type(given) is torch.Tensor
    assert not given.any()
    assert not made.net._forward_pre_hooks


def test_a_run_ends_when_every_network_was_reached():
    class Failing(Brightness):
        def stages(self, images):
            self.net(images[:, :, ::2])
            raise AssertionError("the run went on")

    (given,) = network_inputs(detector(Failing), 2, (8, 8))["net"]
    assert given.shape == (2, 3, 4, 8)


def test_a_network_that_is_not_used_is_named():
    class Idle(Brightness):
        def stages(self, images):
            return {"score": images.sum()}

    with pytest.raises(ModelError, match=r"states the networks \['net'\]"):
        network_inputs(detector(Idle), 1, (8, 8))


def test_stages_that_depend_on_values_are_refused_and_own_errors_are_kept():
    class Dependent(Brightness):
        def stages(self, images):
            if float(images.sum()) > 0:
                return {}
            return super().stages(images)

    class Refusing(Brightness):
        def stages(self, images):
            raise InputError(f"got {tuple(images.shape)}: not this size")

    with pytest.raises(ModelError, match="cannot be run without data"):
        network_inputs(detector(Dependent), 1, (8, 8))
    with pytest.raises(InputError, match="not this size"):
        network_inputs(detector(Refusing), 1, (8, 8))


def test_a_detector_without_networks_needs_no_run():
    class Plain(Brightness):
        networks = ()

    made = detector()
    made.__class__ = Plain
    made.stages = None
    assert network_inputs(made, 1, (8, 8)) == {}


@pytest.mark.parametrize(
    ("tensor", "network"),
    [("net.weight", "net"), ("network.weight", ""), ("centre", "")],
)
def test_a_tensor_belongs_to_the_network_of_its_prefix(tensor, network):
    assert network_of(detector(), tensor) == network


def test_tensors_are_mapped_wherever_they_stand():
    one = torch.ones(1)
    nested = {"a": [one, (one, "text")], "b": Prediction(one, None)}
    found = map_tensors(lambda x: x + 1, nested)
    assert found == {"a": [2, (2, "text")], "b": Prediction(2, None)}
    assert isinstance(found["b"], Prediction)
