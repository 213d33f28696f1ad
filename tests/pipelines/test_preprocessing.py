"""From frames to images: torchvision's resize without its rounding, the crop, the region."""

import pytest
import torch
from torchvision.transforms.v2 import functional as tv

from anomedge.errors import InputError
from anomedge.pipelines.preprocessing import region_of, to_images
from anomedge.resample import Geometry, Region

FRAMES = torch.randint(
    0, 256, (2, 40, 60, 3), dtype=torch.uint8,
    generator=torch.Generator().manual_seed(0),
)  # fmt: skip


@pytest.mark.parametrize("size", [(20, 30), (55, 80), (40, 60), (64, 33)])
def test_images_are_torchvisions_in_floats(size):
    planes = FRAMES.permute(0, 3, 1, 2).float() / 255
    expected = tv.resize(planes, list(size), antialias=True)
    assert torch.allclose(
        to_images(FRAMES, Geometry(size)), expected, atol=1e-6
    )


@pytest.mark.parametrize("crop", [(32, 48), (31, 47), (40, 60)])
def test_the_crop_is_torchvisions_centre(crop):
    whole = FRAMES.permute(0, 3, 1, 2).float() / 255
    found = to_images(FRAMES, Geometry((40, 60), crop))
    assert torch.equal(found, tv.center_crop(whole, list(crop)))
    assert found.is_contiguous()


def test_a_region_is_cut_before_the_resize():
    geometry = Geometry((20, 20), region=Region(0.25, 0.5, 0.75, 1.0))
    part = region_of(FRAMES, geometry)
    assert part.shape == (2, 20, 30, 3)
    assert torch.equal(part, FRAMES[:, 10:30, 30:60])
    expected = to_images(part, Geometry((20, 20)))
    assert torch.equal(to_images(FRAMES, geometry), expected)


def test_without_a_region_the_frames_are_themselves():
    assert torch.equal(region_of(FRAMES, Geometry((8, 8))), FRAMES)


def test_images_have_torchs_default_type(float64):
    assert to_images(FRAMES, Geometry((20, 20))).dtype == float64


@pytest.mark.parametrize(
    "frames",
    [FRAMES.float(), FRAMES[0], FRAMES[..., :1], FRAMES.permute(0, 3, 1, 2)],
    ids=["float", "no batch", "grey", "planes"],
)
def test_other_frames_are_refused(frames):
    with pytest.raises(InputError, match=r"expected uint8 \(B, H, W, 3\)"):
        to_images(frames, Geometry((20, 20)))
