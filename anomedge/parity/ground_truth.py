"""Labels and masks of pictures, and the AUROC of outputs against them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from anomedge.images import Frame, Mask, Picture, stretch
from anomedge.parity.metrics import auroc
from anomedge.parity.outputs import Outputs
from anomedge.resample import Geometry
from anomedge.resample.outside_resize import Framing, stated_size

__all__ = [
    "AurocPair",
    "GroundTruth",
    "ground_truth_of",
    "mask_on_map_grid",
    "region_of_maps",
]


class AurocPair(NamedTuple):
    """AUROC of images and of pixels; None without labels of both classes, or without a map."""

    image: float | None
    pixel: float | None


@dataclass(frozen=True)
class GroundTruth:
    """Label and mask of each picture; None where unknown.

    `inside` is the region of interest on the map's grid; pixels outside are not counted. None: all are counted.
    """

    anomalous: list[bool | None]
    masks: list[Mask | None]
    inside: Mask | None = None

    def auroc(self, outputs: Outputs) -> AurocPair:
        """Return the AUROC of labelled images and of pixels with a mask."""
        return AurocPair(self._image_auroc(outputs), self._pixel_auroc(outputs))

    def _image_auroc(self, outputs: Outputs) -> float | None:
        labels = [label for label in self.anomalous if label is not None]
        labelled = [
            i for i, label in enumerate(self.anomalous) if label is not None
        ]
        return auroc(outputs.score[labelled], labels)

    def _pixel_auroc(self, outputs: Outputs) -> float | None:
        if outputs.anomaly_map is None:
            return None
        values, labels = [], []
        for anomaly_map, mask in zip(
            outputs.anomaly_map, self.masks, strict=True
        ):
            if mask is not None:
                counted = slice(None) if self.inside is None else self.inside
                values.append(anomaly_map[0][counted].ravel())
                labels.append(mask[counted].ravel())
        if not labels:
            return None
        return auroc(np.concatenate(values), np.concatenate(labels))


def region_of_maps(anomaly_maps: npt.NDArray[np.floating]) -> Mask:
    """Return the region (H, W) of a detector with a mask, from its maps (N, 1, H, W): they are 0 outside.

    A pixel within the region is 0 in a map only if all patches around it are equal to normal ones.
    """
    return np.asarray((anomaly_maps != 0).any(axis=(0, 1)))


def ground_truth_of(
    pictures: Sequence[Picture], geometry: Geometry, frame: Framing
) -> GroundTruth:
    """Return labels, and masks on the anomaly map's grid.

    Args:
        pictures: the pictures.
        geometry: mapping of a frame to the detector's image.
        frame: how a picture becomes the graph's input.

    Raises:
        InputError: a mask cannot be read, or has another shape than its picture.
    """
    for picture in pictures:
        if picture.anomalous is not False:
            picture.check_mask_shape()
    masks = [
        mask_on_map_grid(picture.mask(), geometry, frame)
        for picture in pictures
    ]
    return GroundTruth([picture.anomalous for picture in pictures], masks)


def mask_on_map_grid(
    mask: Mask | None, geometry: Geometry, frame: Framing
) -> Mask | None:
    """Resample a frame's mask to the map's grid; threshold it at one half.

    A mask of the whole picture is a label without a location: None.

    Args:
        mask: (Hm, Wm), stretched to the frame if necessary; None if unknown.
        geometry: mapping of a frame to the detector's image.
        frame: (height, width) in pixels.
    """
    if mask is None or mask.all():
        return None
    if not mask.any():
        return np.zeros(geometry.image, dtype=np.bool_)
    grey = mask[..., None].astype(np.uint8) * 255
    size = stated_size(frame) or mask.shape[:2]
    pixels: Frame = stretch(np.repeat(grey, 3, axis=2), size)
    rows, columns = geometry.matrices(size)
    share = rows @ (pixels[..., 0] / 255.0) @ columns.T
    return np.asarray(share > 0.5)
