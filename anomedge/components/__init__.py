"""Torch components of anomaly detectors, written to be exported: static shapes, state in buffers, inputs untouched.

`AnomalyModule` is here too, imported when it is asked for: it alone needs Lightning (`pip install 'anomedge[train]'`).
"""

from typing import Any

from anomedge.components.all_in_one import AllInOneBlock
from anomedge.components.blur import GaussianBlur2d
from anomedge.components.buffers import DynamicBufferModule
from anomedge.components.coreset import KCenterGreedy
from anomedge.components.features import FeatureExtractor
from anomedge.components.gaussian import MultiVariateGaussian
from anomedge.components.invertible import InvertibleModule
from anomedge.components.kde import GaussianKDE
from anomedge.components.memory_bank import MemoryBank
from anomedge.components.moments import RunningMoments
from anomedge.components.pca import PCA
from anomedge.components.random_projection import SparseRandomProjection
from anomedge.components.resampling import LinearResample2d
from anomedge.components.sequence import SequenceINN
from anomedge.components.sspcab import SSPCAB

__all__ = [
    "PCA",
    "SSPCAB",
    "AllInOneBlock",
    "DynamicBufferModule",
    "FeatureExtractor",
    "GaussianBlur2d",
    "GaussianKDE",
    "InvertibleModule",
    "KCenterGreedy",
    "LinearResample2d",
    "MemoryBank",
    "MultiVariateGaussian",
    "RunningMoments",
    "SequenceINN",
    "SparseRandomProjection",
]


def __getattr__(name: str) -> Any:
    """`AnomalyModule`, which is not in `__all__` so that a star import needs no Lightning."""
    if name == "AnomalyModule":
        from anomedge.components.module import AnomalyModule

        return AnomalyModule
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
