"""Run a detector on the tiles of large images, as one batch, and join its results.

All steps are static: constant indices cut the tiles out and choose, for each pixel of the map, the tile in which the
pixel lies farthest from a border. Results of a tile near its border are the least reliable, because its network pads there.
The score is that of the worst tile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from anomedge.components.buffers import plain_state
from anomedge.pipelines.base import Pipeline
from anomedge.pipelines.data import PictureBatches
from anomedge.resample import Geometry, Tiling

__all__ = ["TileBatches", "Tiles", "detect"]


class Tiles(nn.Module):
    """Cut images (B, 3, H, W) into T tiles; join maps of tiles (B T, 1, h, w) to (B, 1, H, W).

    Args:
        tiling: size of the tiles and their overlap.
        image: height and width of the images.
    """

    down: Tensor
    across: Tensor
    rows: Tensor
    columns: Tensor

    @plain_state
    def __init__(self, tiling: Tiling, image: tuple[int, int]) -> None:
        super().__init__()
        self.tile, self.grid = tiling.tile, tiling.grid(image)
        self.count = self.grid[0] * self.grid[1]
        for axis, (cut, joined) in enumerate(
            (("down", "rows"), ("across", "columns"))
        ):
            size, n = tiling.tile[axis], image[axis]
            starts = tiling.starts(n, axis)
            pixels = starts[:, None] + np.arange(size)
            self._register(cut, pixels.ravel())
            self._register(joined, tiling.chosen(n, axis))

    @classmethod
    def of(cls, geometry: Geometry) -> Tiles | None:
        """Return the tiles of a geometry; None for one without."""
        if geometry.tiling is None:
            return None
        return cls(geometry.tiling, geometry.image)

    def _register(self, name: str, indices: np.ndarray) -> None:
        tensor = torch.from_numpy(indices.astype(np.int64))
        self.register_buffer(name, tensor, persistent=False)

    def cut(self, images: Tensor) -> Tensor:
        """Return the tiles (B T, 3, h, w), those of one image after the other, row by row."""
        (n, m), (h, w) = self.grid, self.tile
        channels = images.shape[1]
        x = images.index_select(2, self.down).index_select(3, self.across)
        x = x.reshape(-1, channels, n, h, m, w).permute(0, 2, 4, 1, 3, 5)
        return x.reshape(-1, channels, h, w)

    def join(self, maps: Tensor) -> Tensor:
        """Return the maps (B, 1, H, W) of maps of tiles (B T, 1, h, w)."""
        (n, m), (h, w) = self.grid, self.tile
        x = maps.reshape(-1, n, m, h, w).permute(0, 1, 3, 2, 4)
        x = x.reshape(-1, 1, n * h, m * w)
        return x.index_select(2, self.rows).index_select(3, self.columns)

    def stages(
        self, pipeline: Pipeline[Any, Any], images: Tensor
    ) -> dict[str, Tensor]:
        """Return the stages of a detector: (B, T, ...) for each tile, then the outputs for whole images."""
        stages = pipeline.stages(self.cut(images))
        named = {}
        for name, value in stages.items():
            if name not in {"anomaly_map", "score"}:
                named[name] = value.reshape(-1, self.count, *value.shape[1:])
        score = stages["score"].reshape(-1, self.count).amax(dim=1)
        if "anomaly_map" in stages:
            named["anomaly_map"] = self.join(stages["anomaly_map"])
        return named | {"score": score}


@dataclass(frozen=True)
class TileBatches:
    """Batches of tiles (B, 3, h, w) of pictures; the pictures are read one by one, again in each iteration."""

    pictures: PictureBatches
    tiles: Tiles
    batch: int

    def __iter__(self) -> Iterator[Tensor]:
        for images in replace(self.pictures, batch=1):
            yield from torch.split(self.tiles.cut(images), self.batch)


def detect(
    pipeline: Pipeline[Any, Any], tiles: Tiles | None, images: Tensor
) -> dict[str, Tensor]:
    """Return the stages of a detector for whole images (B, 3, H, W), which it sees in tiles if there are some."""
    if tiles is None:
        return pipeline.stages(images)
    return tiles.stages(pipeline, images)
