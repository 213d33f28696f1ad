"""Torch components of anomaly detectors, designed for export.

Shapes are static, state is in buffers, and inputs are not modified.
`AnomalyModule` is imported on first access, because only this class needs
Lightning (extra `train`).
"""

from typing import Any

from anomedge.components.blur import GaussianBlur2d
from anomedge.components.buffers import DynamicBufferModule
from anomedge.components.estimators.coreset import KCenterGreedy
from anomedge.components.estimators.gaussian import MultiVariateGaussian
from anomedge.components.estimators.kde import GaussianKDE
from anomedge.components.estimators.memory_bank import MemoryBank
from anomedge.components.estimators.moments import RunningMoments
from anomedge.components.estimators.pca import PCA
from anomedge.components.estimators.random_projection import (
    SparseRandomProjection,
)
from anomedge.components.features import FeatureExtractor
from anomedge.components.flows.all_in_one import AllInOneBlock
from anomedge.components.flows.invertible import InvertibleModule
from anomedge.components.flows.sequence import SequenceINN
from anomedge.components.resampling import LinearResample2d
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
    """Import `AnomalyModule`; not in `__all__`, so `import *` works without."""
    if name == "AnomalyModule":
        from anomedge.components.lightning.module import AnomalyModule

        return AnomalyModule
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
