"""Runs of eager Torch for a proof: no frame is run twice.

Eager Torch costs more than everything else in a proof. Outputs are kept by the
SHA-256 of the frame's pixels, so that stages, blends and golden frames share
them. Every frame is run alone: a batch changes the last bits, and on a CPU it is
not faster (benchmarks/proof_cost.py measures both).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from anomedge.export.eager import EagerSession
from anomedge.files import sha256_of_bytes
from anomedge.images import Frame, Picture
from anomedge.parity.outputs import FRAMES, Outputs, joined
from anomedge.pipelines import Pipeline
from anomedge.progress import track
from anomedge.runtimes import Tensors

__all__ = ["EagerRuns"]


class EagerRuns:
    """Outputs and stages of pictures in eager Torch.

    Args:
        eager: the open session.
        frame: height and width that pictures are stretched to, in pixels; their own size if None.
    """

    def __init__(
        self, eager: EagerSession, frame: tuple[int, int] | None
    ) -> None:
        self.eager, self.frame = eager, frame
        self._outputs: dict[str, Outputs] = {}
        self._stages: dict[str, Tensors] = {}

    def of_pictures(
        self,
        pictures: Sequence[Picture],
        description: str,
        staged: Collection[int] = (),
    ) -> Outputs:
        """Return the outputs of pictures.

        Args:
            pictures: at least one.
            description: of the progress.
            staged: places of the pictures for which `stages` is called later.
        """
        outputs = []
        for place, picture in enumerate(
            track(pictures, description, total=len(pictures))
        ):
            pixels = picture.frame(self.frame)
            if place in staged:
                self._run_stages(pixels)
            outputs.append(self._output(pixels))
        return joined(outputs)

    def of_frames(self, frames: npt.NDArray[np.uint8]) -> Outputs:
        """Return the outputs of frames (B, H, W, 3); they are not kept."""
        return Outputs.of(self.eager.run({FRAMES: frames}))

    def keep(self, picture: Picture, outputs: Outputs) -> None:
        """Keep the outputs of a picture that was run by `of_frames`."""
        self._outputs[_digest(picture.frame(self.frame))] = outputs

    def stages(
        self, pictures: Sequence[Picture], places: Sequence[int]
    ) -> dict[int, Tensors]:
        """Return every stage of the pictures at these places."""
        return {
            place: self._run_stages(pictures[place].frame(self.frame))
            for place in track(places, "stages", total=len(places))
        }

    def _output(self, pixels: Frame) -> Outputs:
        digest = _digest(pixels)
        if digest not in self._outputs:
            self._outputs[digest] = self.of_frames(pixels[None])
        return self._outputs[digest]

    def _run_stages(self, pixels: Frame) -> Tensors:
        """Return every stage; keep the last ones, map and score, as outputs."""
        digest = _digest(pixels)
        if digest not in self._stages:
            stages = self.eager.stages(pixels[None])
            self._stages[digest] = stages
            # A detector may compute its outputs in another way than its stages.
            if type(self.eager.model.pipeline).forward is Pipeline.forward:
                self._outputs.setdefault(digest, Outputs.of(stages))
        return self._stages[digest]


def _digest(pixels: Frame) -> str:
    return f"{pixels.shape} {sha256_of_bytes(pixels.tobytes())}"
