"""Statistics of channels over several batches."""

import torch

from anomedge.components.estimators.channels import channel_statistics


def test_batches_count_by_their_pixels_and_offsets_do_not_cancel():
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(5, 3, 4, 6, generator=generator) / 100 + 1000
    mean, std = channel_statistics([maps[:1], maps[1:]])
    axes = (0, 2, 3)
    assert mean.shape == std.shape == (1, 3, 1, 1)
    exact = maps.double()
    torch.testing.assert_close(mean.flatten().double(), exact.mean(axes))
    expected = exact.std(axes, unbiased=False).float()
    torch.testing.assert_close(std.flatten(), expected, rtol=1e-4, atol=0)
