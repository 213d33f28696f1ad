"""Digests of modules."""

import torch
from torch import nn

from anomedge.interop.digests import digest_of


def test_digest_depends_on_names_shapes_types_and_values():
    layer = nn.Linear(2, 3)
    same = nn.Linear(2, 3)
    same.load_state_dict(layer.state_dict())
    assert digest_of(layer) == digest_of(same)
    others = [nn.Sequential(layer), nn.Linear(2, 3), nn.Linear(2, 3).double()]
    flipped = nn.Linear(2, 3)
    flipped.weight = nn.Parameter(layer.weight.detach().T.contiguous())
    flipped.bias = layer.bias
    digests = {digest_of(each) for each in [*others, flipped, layer]}
    assert len(digests) == 5


def test_bfloat16_and_empty_tensors():
    module = nn.Module()
    module.register_buffer("short", torch.ones(2, dtype=torch.bfloat16))
    module.register_buffer("none", torch.empty(0, 3))
    module.register_buffer("count", torch.tensor(3))
    assert len(digest_of(module)) == 64
