"""Modules that cannot be exported are refused, with the reason."""

import pytest
import torch
from torch import nn

from anomedge.errors import ModelError
from anomedge.interop.probing import check_tensors, probe
from tests.interop.modules import (
    Relative,
    Returning,
    Student,
    Tiny,
    scored,
)
from tests.interop.test_module import around

IMAGES = torch.rand(4, 3, 16, 24, generator=torch.Generator().manual_seed(2))


def test_ordinary_modules():
    for module in (Tiny(), Student()):
        probed = probe(around(module), IMAGES, None)
        assert probed.takes_batches and probed.has_map
    alone = around(Returning(lambda _, grey: grey.amax(dim=(1, 2, 3))))
    assert not probe(alone, IMAGES, None).has_map


def test_dependence_on_the_batch_is_refused_with_the_figure():
    with pytest.raises(
        ModelError, match=r"moves by \d+\.\d% of its range .* give batch=1"
    ):
        probe(around(Relative()), IMAGES, None)
    with pytest.raises(ModelError, match="give batch=1"):
        probe(around(Relative()), IMAGES, 4)
    assert not probe(around(Relative()), IMAGES, 1).takes_batches


class FirstOfBatch(nn.Module):
    """Right for batches in which the first image is the first; found by another order."""

    def forward(self, images):
        grey = images.mean(dim=1, keepdim=True)
        return scored(grey + grey[:1] * 0.01)


def test_dependence_on_the_order_is_refused():
    with pytest.raises(ModelError, match="rest of the batch"):
        probe(around(FirstOfBatch()), IMAGES, None)


def test_modules_of_one_image():
    module = Returning(lambda _, grey: scored(grey.reshape(1, 1, 16, 24)))
    assert not probe(around(module), IMAGES, None).takes_batches
    with pytest.raises(ModelError, match="give batch=1"):
        probe(around(module), IMAGES, 2)


class Counting(nn.Module):
    def __init__(self, attribute):
        super().__init__()
        self.calls = 0
        self.register_buffer("count", torch.zeros(1))
        self.weight = nn.Parameter(torch.ones(1))
        self.attribute = attribute

    def forward(self, images):
        self.calls += 1
        if self.attribute != "calls":
            with torch.no_grad():
                getattr(self, self.attribute).add_(1)
        return scored(images.mean(dim=1, keepdim=True) + self.calls)


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ("calls", "between two calls"),
        ("count", "changes its tensor count"),
        ("weight", "changes its tensor weight"),
    ],
)
def test_state_is_refused(attribute, message):
    with pytest.raises(ModelError, match=message):
        probe(around(Counting(attribute)), IMAGES, None)


def test_changed_buffers_get_their_values_back():
    module = Counting("count")
    with pytest.raises(ModelError):
        probe(around(module), IMAGES, None)
    assert module.count.item() == 0


def test_randomness_is_refused():
    module = Returning(lambda _, grey: scored(grey + torch.rand(()) * 0.1))
    with pytest.raises(ModelError, match="remove randomness"):
        probe(around(module), IMAGES, None)


def test_writing_into_the_input_is_refused():
    module = Returning(lambda x, _: scored(x.mul_(2)[:, :1]))
    with pytest.raises(ModelError, match="writes into its input"):
        probe(around(module), IMAGES, None)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(value):
    module = Returning(lambda _, grey: scored(grey * value))
    with pytest.raises(ModelError, match="not finite"):
        probe(around(module), IMAGES, None)


def test_errors_of_the_module_are_told():
    module = Returning(lambda x, _: x.reshape(7))
    with pytest.raises(
        ModelError,
        match=r"fails on images of \(1, 3, 16, 24\) \(RuntimeError: shape",
    ):
        probe(around(module), IMAGES, None)


def test_outputs_that_come_and_go_are_refused():
    module = Returning(
        lambda _, grey: (
            scored(grey) if grey.max() < 0.95 else grey.amax(dim=(1, 2, 3))
        )
    )
    images = IMAGES.clone()
    images[1] = 1
    with pytest.raises(ModelError, match="same outputs for all"):
        probe(around(module), images, None)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            nn.Conv2d(3, 1, 1).double(),
            "float64; expected float32: call module.float",
        ),
        (nn.Conv2d(3, 1, 1).half(), "float16"),
        (nn.Conv2d(3, 1, 1, device="meta"), "on meta; expected the CPU"),
    ],
)
def test_other_devices_and_types_are_refused(module, message):
    with pytest.raises(ModelError, match=message):
        check_tensors(module)
    check_tensors(nn.BatchNorm2d(3))
