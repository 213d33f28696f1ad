"""Construction of anomalib's classes, without pretrained weights and without a change of the package."""

import types

import pytest
import torch
from torch import nn

from anomedge.interop.anomalib.models.base import (
    constructed,
    with_globals_in,
    with_method,
    without_weights,
)


def package():
    """A module whose class asks for pretrained weights."""
    module = types.ModuleType("package")
    exec(  # noqa: S102 - the text is below
        "import torch\n"
        "def extractor(name, pre_trained=True):\n"
        "    if pre_trained: raise OSError('download')\n"
        "    return torch.nn.Identity()\n"
        "class Model(torch.nn.Module):\n"
        "    def __init__(self, name, *, scale=2):\n"
        "        super().__init__()\n"
        "        self.scale = scale\n"
        "        self.network = extractor(name, pre_trained=True)\n",
        module.__dict__,
    )
    return module


def test_constructor_without_weights_leaves_the_package_alone():
    module = package()
    replaced = {"extractor": without_weights(module.extractor)}
    model = constructed(module.Model, {"name": "resnet18"}, replaced)
    assert (model.scale, type(model.network)) == (2, nn.Identity)
    with pytest.raises(OSError, match="download"):
        module.Model("resnet18")


def test_constructor_without_replacements_is_called_as_usual():
    model = constructed(nn.Linear, {"in_features": 2, "out_features": 3}, {})
    assert model(torch.zeros(1, 2)).shape == (1, 3)


def test_method_with_other_globals_leaves_its_class_alone():
    module = package()
    exec(  # noqa: S102 - the text is here
        "offset = 1\n"
        "class Shift(torch.nn.Module):\n"
        "    def forward(self, x): return x + offset\n",
        module.__dict__,
    )
    shifted = with_globals_in(module.Shift(), "forward", {"offset": 5})
    assert shifted(torch.zeros(1)) == 5
    assert module.Shift()(torch.zeros(1)) == 1


def test_another_method_leaves_its_class_alone():
    changed = with_method(nn.Identity(), "forward", lambda self, x: x + 1)
    assert changed(torch.zeros(1)) == 1
    assert nn.Identity()(torch.zeros(1)) == 0
