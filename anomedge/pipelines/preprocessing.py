"""Reference preprocessing in torch, from camera frames to images; exported graphs are compared with it."""

import torch
import torch.nn.functional as F
from torch import Tensor

from anomedge.errors import InputError
from anomedge.resample import Geometry

__all__ = ["region_of", "to_images"]


def region_of(frames: Tensor, geometry: Geometry) -> Tensor:
    """Return the region (B, h, w, 3) of frames (B, Hf, Wf, 3), as a view; the frames themselves without a region."""
    height, width = frames.shape[1:3]
    top, left, bottom, right = geometry.box((height, width))
    return frames[:, top:bottom, left:right]


def to_images(frames: Tensor, geometry: Geometry) -> Tensor:
    """Return images (B, 3, H, W) in [0, 1] of frames, uint8 (B, Hf, Wf, 3), in torch's default dtype.

    Frames, or the region of the geometry, are resized to `geometry.size` by antialiased bilinear interpolation, without
    rounding to whole grey levels, then cropped to the centre as by torchvision.

    Raises:
        InputError: frames of another type or shape.
    """
    if frames.dtype != torch.uint8 or frames.ndim != 4 or frames.shape[3] != 3:
        raise InputError(
            f"got frames {frames.dtype} {tuple(frames.shape)}; expected uint8 (B, H, W, 3)"
        )
    part = region_of(frames, geometry)
    images = part.permute(0, 3, 1, 2).to(torch.get_default_dtype()) / 255
    if images.shape[2:] != geometry.size:
        images = F.interpolate(
            images,
            size=geometry.size,
            mode="bilinear",
            antialias=True,
            align_corners=False,
        )
    (height, width), (h, w) = geometry.size, geometry.image
    top, left = round((height - h) / 2), round((width - w) / 2)
    return images[:, :, top : top + h, left : left + w].contiguous()
