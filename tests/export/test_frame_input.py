import numpy as np
import pytest
import torch

from anomedge.export.frame_input import Frontend
from anomedge.pipelines.preprocessing import to_images
from anomedge.resample import Geometry, Region


# At 1200x1600 to 384 torch's own float32 weights are 7.5e-6 off the definition, at 1079x1917 1.2e-5; the graph has torch's.
@pytest.mark.parametrize(
    "frame",
    [(96, 128), (64, 72), (1080, 64), (31, 45), (1200, 1600), (1079, 1917)],
)
@pytest.mark.parametrize(
    "geometry",
    [
        Geometry((64, 72)),
        Geometry((80, 80), (64, 72)),
        Geometry((384, 384)),
        Geometry((80, 80), (64, 72), Region(0.1, 0.25, 0.9, 0.7)),
    ],
)
def test_the_front_end_is_torchs_antialiased_resize(frame, geometry):
    frames = torch.randint(0, 256, (2, *frame, 3), dtype=torch.uint8)
    produced, expected = (
        Frontend(geometry, frame)(frames),
        to_images(frames, geometry),
    )
    assert produced.shape == expected.shape
    torch.testing.assert_close(produced, expected, rtol=0, atol=5e-7)
    rows, columns = geometry.matrices(frame)
    exact = (
        rows @ (frames.permute(0, 3, 1, 2).double().numpy() / 255) @ columns.T
    )
    np.testing.assert_allclose(produced.numpy(), exact, rtol=0, atol=2e-5)
