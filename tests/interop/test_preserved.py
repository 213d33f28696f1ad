"""Modules are left as they were."""

import torch
from torch import nn

from anomedge.interop.preserved import preserved


class Caching(nn.Module):
    def __init__(self):
        super().__init__()
        self.tables, self.sizes = {}, []
        self.register_buffer("scale", torch.ones(1))


def test_attributes_modes_and_containers_are_restored():
    module = nn.Sequential(Caching(), nn.Dropout())
    caching, tables, scale = module[0], module[0].tables, module[0].scale
    with preserved(module):
        module.eval()
        caching.cached = torch.zeros(1)
        caching.tables["a"] = 1
        caching.sizes.append(2)
        caching.scale = torch.zeros(1)
        caching.register_forward_hook(lambda *_: None)
    assert module.training and caching.training and module[1].training
    assert not hasattr(caching, "cached")
    assert caching.tables is tables
    assert caching.tables == {} and caching.sizes == []
    assert caching.scale is scale
    assert not caching._forward_hooks
