"""Recorded outputs of submodules."""

import pytest
from torch import nn

from anomedge.errors import ModelError
from tests.interop.modules import Tiny, scored
from tests.interop.test_module import IMAGES, around


def test_outputs_are_copies():
    pipeline = around(Tiny(), recorded={"body": "body.1"})
    recorded = pipeline.stages(IMAGES)["body"]
    assert (recorded < 0).any()  # A ReLU behind it is not in it.


def test_hooks_are_removed():
    pipeline = around(Tiny(), recorded={"head": "head"})
    pipeline.stages(IMAGES)
    assert not pipeline.held.head._forward_hooks


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.unused = nn.Identity(), nn.Identity()
        self.pair = nn.MaxPool2d(2, return_indices=True)

    def forward(self, images):
        self.pair(images)
        return scored(self.layer(self.layer(images)).mean(dim=1, keepdim=True))


@pytest.mark.parametrize(
    ("path", "message"),
    [("layer", "ran twice"), ("unused", "did not run"), ("pair", "a tuple")],
)
def test_submodules_that_are_no_stages(path, message):
    with pytest.raises(ModelError, match=message):
        around(Twice(), recorded={"x": path}).stages(IMAGES)
