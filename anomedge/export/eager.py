"""Eager Torch as a runtime: the reference of every comparison. It resizes with torch, not with the graph's matrices."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torchvision.transforms.v2 import functional as tv

from anomedge.layouts import Frames
from anomedge.pipelines.model import Model
from anomedge.pipelines.preprocessing import region_of, to_images
from anomedge.pipelines.tiles import Tiles, detect
from anomedge.runtimes import GraphFile, Options, Session, Tensors
from anomedge.runtimes.specs import TensorSpec

__all__ = ["EagerSession"]


class EagerSession(Session):
    """The fitted detector, one picture at a time, in float32 on the CPU (TF32 exists on GPUs only)."""

    name = "eager torch"

    def __init__(self, model: Model, path: Path) -> None:
        self.model = model
        self.tiles = Tiles.of(model.geometry)
        # Nothing is read from the path; a detector around a module has no file.
        super().__init__(GraphFile(path), Options())

    @property
    def version(self) -> str:
        """Version of torch."""
        return str(torch.__version__)

    def stages(self, frames: npt.NDArray[np.uint8]) -> Tensors:
        """Return every stage in order, and `rounded`: the image as resized by torchvision's uint8 path."""
        with torch.no_grad():
            images = to_images(
                torch.from_numpy(frames.copy()), self.model.geometry
            )
            stages = {
                "preprocessed": images,
                "rounded": self._rounded(frames),
            } | detect(self.model.pipeline, self.tiles, images)
        return {name: value.numpy() for name, value in stages.items()}

    def _rounded(self, frames: npt.NDArray[np.uint8]) -> torch.Tensor:
        geometry = self.model.geometry
        part = region_of(torch.from_numpy(frames.copy()), geometry)
        images = part.permute(0, 3, 1, 2)
        resized = tv.resize(images, list(geometry.size), antialias=True)
        cropped: torch.Tensor = tv.center_crop(resized, list(geometry.image))
        return cropped.float() / 255

    def _open(self) -> None:
        self.running_on = "cpu"

    def _specs(self) -> tuple[dict[str, TensorSpec], dict[str, TensorSpec]]:
        return {"frames": TensorSpec("uint8", (None, None, None, 3))}, {}

    def _run(self, feed: Mapping[str, npt.NDArray[Any]]) -> Tensors:
        results = []
        for frame in feed["frames"]:
            with torch.no_grad():
                images = to_images(
                    torch.from_numpy(frame[None].copy()), self.model.geometry
                )
                results.append(detect(self.model.pipeline, self.tiles, images))
        return {
            name: torch.cat([stages[name] for stages in results]).numpy()
            for name in Frames.outputs
            if name in results[0]
        }
