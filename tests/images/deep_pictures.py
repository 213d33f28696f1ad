"""Pictures of more than 8 bits, and levels for them."""

import pytest
from PIL import Image

from anomedge.resample.levels import Levels

LEVELS = Levels(0, 4080)
"""With them, 16 times an 8-bit value becomes that value again."""


def save_deep(path, values):
    """Write uint16 values (H, W) or RGB (H, W, 3) as PNG or TIFF."""
    if values.ndim == 2:
        Image.fromarray(values).save(path)
        return
    cv2 = pytest.importorskip("cv2")
    assert cv2.imwrite(str(path), values[..., ::-1])
