"""Networks and helpers that the tests of backbones share."""

import timm
import torch
from torch import nn


def whole(seed=3):
    torch.manual_seed(seed)
    return timm.create_model("test_efficientnet").eval()


def hooked(model, paths, x):
    found = {}
    handles = [
        model.get_submodule(p).register_forward_hook(
            lambda m, i, o, p=p: found.__setitem__(p, o)
        )
        for p in paths
    ]
    model(x)
    for handle in handles:
        handle.remove()
    return found


class Shaped(nn.Module):
    """A layer `made` that gives (B, 6, h, w) at stride 4 in another layout."""

    def __init__(self, change, traceable=True):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 4, stride=4)
        self.made = nn.Identity()
        self.change, self.traceable = change, traceable

    def forward(self, x):
        if not self.traceable and x.shape[2] > 5000:
            return x
        return self.made(self.change(self.conv(x)))
