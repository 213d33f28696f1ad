r"""Input of the graph: resize camera frames to the model's image by constant matrices, :math:`y = A\,x\,B^\top / 255`.

The first node is a Cast, because TensorRT accepts uint8 only at a network's boundary. Rows are resized first, in the
memory layout of the camera; then columns are transposed to rows and resized likewise. Each block of output lines reads
only the input lines with weights other than zero. A region of the frame is cut out after the Cast.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomedge.components.resampling import BandedRows
from anomedge.resample import Geometry, Matrix

__all__ = ["Frontend", "OutsideFrontend"]

_COLUMNS_AT_ONCE = 512


class Frontend(nn.Module):
    """Frames, uint8 (B, Hf, Wf, 3), to images, float32 (B, 3, H, W) in [0, 1].

    Args:
        geometry: size and crop of the image.
        frame: (Hf, Wf).

    Example:
        >>> head = Frontend(Geometry((1, 2)), frame=(2, 4))
        >>> head(torch.full((1, 2, 4, 3), 255, dtype=torch.uint8)).shape
        torch.Size([1, 3, 1, 2])
    """

    def __init__(self, geometry: Geometry, frame: tuple[int, int]) -> None:
        super().__init__()
        self.frame, self.image = frame, geometry.image
        self.box, self.part = geometry.box(frame), geometry.part(frame)
        rows, columns = (
            _torchs_matrix(*sizes)
            for sizes in zip(
                self.part, geometry.size, geometry.image, strict=True
            )
        )
        self.rows: nn.Module = (
            nn.Identity() if _same(rows) else BandedRows(rows)
        )
        self.scale_only = _same(columns)
        self.columns: nn.Module = (
            nn.Identity() if self.scale_only else BandedRows(columns / 255)
        )

    def forward(self, frames: Tensor) -> Tensor:
        """Return the images of a batch of frames."""
        (height, width), (h, w) = self.frame, self.image
        lines = frames.to(torch.float32).reshape(-1, height, width * 3)
        if self.part != self.frame:
            top, left, bottom, right = self.box
            lines = lines[:, top:bottom, 3 * left : 3 * right]
            width = right - left
        x: Tensor = self.rows(lines)
        if self.scale_only:
            return x.reshape(-1, h, w, 3).permute(0, 3, 1, 2) / 255
        x = self.columns(x.transpose(1, 2).reshape(-1, width, 3 * h))
        return x.reshape(-1, w, 3, h).permute(0, 2, 3, 1)


class OutsideFrontend(nn.Module):
    """Frames that were resized outside the graph, float32 (B, H, W, 3) in 0..255, to images (B, 3, H, W) in [0, 1]."""

    def forward(self, frames: Tensor) -> Tensor:
        """Return the images of a batch of frames."""
        return frames.permute(0, 3, 1, 2) / 255


def _torchs_matrix(n_frame: int, n_size: int, n_image: int) -> Matrix:
    """Return the weights of torch's float32 antialiased resize, (n_image, n_frame), from its result on unit vectors.

    torch computes the weights in float32, up to 1e-5 from the definition (`Geometry.matrices`) at some sizes. A network
    can amplify that difference a hundred times. The eager detector is fitted on torch's pixels, so its weights are used.
    """
    start = round((n_size - n_image) / 2)
    if n_frame == n_size:
        return np.eye(n_frame)[start : start + n_image]
    units = torch.eye(n_frame, dtype=torch.float32)
    blocks = [
        F.interpolate(
            block[None, None],
            size=(n_size, block.shape[1]),
            mode="bilinear",
            antialias=True,
        )[0, 0]
        for block in torch.split(units, _COLUMNS_AT_ONCE, dim=1)
    ]
    return torch.cat(blocks, dim=1)[start : start + n_image].double().numpy()


def _same(matrix: Matrix) -> bool:
    return bool(
        matrix.shape[0] == matrix.shape[1]
        and np.array_equal(matrix, np.eye(len(matrix)))
    )
