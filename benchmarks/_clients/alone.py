"""Parts of the clients without anomedge: read a frame, lay it out as a contract states, decide, print.

Only numpy and Pillow are imported here. The clients run as processes of their own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = ["Client", "check_alone", "laid_out", "read_frame"]

_MAP = "anomaly_map"


def read_frame(path: str, height: int, width: int) -> npt.NDArray[np.uint8]:
    """Return a picture as uint8 (H, W, 3), RGB; refuse another size."""
    with Image.open(path) as picture:
        frame = np.asarray(picture.convert("RGB"))
    if frame.shape != (height, width, 3):
        raise SystemExit(
            f"error: got {path} of {frame.shape}; expected {height}x{width}"
        )
    return frame


def laid_out(
    frame: npt.NDArray[np.uint8], contract: Mapping[str, str], dtype: Any
) -> npt.NDArray[Any]:
    """Return the input of a graph, with a batch of one, as the contract in its metadata states."""
    if contract["colour"] == "BGR":
        frame = frame[..., ::-1]
    black, white = map(float, contract["values"].split())
    values = frame.astype(dtype)
    if (black, white) != (0, 255):
        values = black + values * dtype(white - black) / dtype(255)
    if contract["axes"] == "NCHW":
        values = values.transpose(2, 0, 1)
    return np.ascontiguousarray(values[None], dtype)


class Client:
    """Decides by the threshold of a contract, prints verdicts and writes maps.

    Args:
        contract: entries of the graph's metadata, without a prefix.
        maps: folder for the maps, raw float32.
    """

    def __init__(self, contract: Mapping[str, str], maps: str) -> None:
        if (contract["contract"], contract["scores"]) != ("1", "raw"):
            raise SystemExit("error: got another contract; expected raw scores")
        self.threshold = float(contract["threshold"])
        self.height, self.width = (
            int(contract["height"]),
            int(contract["width"]),
        )
        self.maps = Path(maps)

    def decide(self, path: str, outputs: Mapping[str, Any]) -> None:
        """Print the verdict of a picture; write its map."""
        score = float(outputs["score"][0])
        if not np.isfinite(score):
            raise SystemExit(f"error: got the score {score}; expected a number")
        label = "anomalous" if score > self.threshold else "normal"
        print(json.dumps({"frame": path, "label": label, "score": score}))
        if _MAP in outputs:
            file = self.maps / f"{Path(path).stem}.f32"
            file.write_bytes(np.float32(outputs[_MAP][0, 0]).tobytes())


def check_alone() -> None:
    """End with an error if any module imported anomedge."""
    if "anomedge" in sys.modules:
        raise SystemExit("error: got an import of anomedge; expected none")
