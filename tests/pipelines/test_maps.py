"""Resampling from patches to the anomaly map."""

import pytest
import torch
import torch.nn.functional as F

from anomedge.pipelines.maps import map_resampling


@pytest.mark.parametrize(
    ("grid", "size"), [((8, 16), (64, 128)), ((16, 36), (122, 284))]
)
def test_nearest_upsampling_is_that_of_torch(grid, size):
    """At 122 and 284 pixels torch's index differs from the exact one by a rounding in float32."""
    patches = torch.rand(1, 1, *grid)
    own = map_resampling(grid, size, 0.1, "nearest")(patches)
    repeated = F.interpolate(patches, size=size)
    assert torch.allclose(own, repeated, atol=1e-6)
