"""From a picture to the detector's image: value range, region, resize, crop and tiles. No torch, no vendor."""

from anomedge.resample.frame_parts import Region, Tiling
from anomedge.resample.geometry import (
    LARGEST_PIXELS,
    LARGEST_SIDE,
    Geometry,
    Matrix,
    bands,
    between_corners,
    bicubic,
    bilinear,
    check_frame,
    crop,
    gaussian_blur,
    gaussian_kernel,
    nearest,
)

__all__ = [
    "LARGEST_PIXELS",
    "LARGEST_SIDE",
    "Geometry",
    "Matrix",
    "Region",
    "Tiling",
    "bands",
    "between_corners",
    "bicubic",
    "bilinear",
    "check_frame",
    "crop",
    "gaussian_blur",
    "gaussian_kernel",
    "nearest",
]
