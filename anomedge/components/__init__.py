"""Torch components of anomaly detectors, written to be exported: static shapes, state in buffers, inputs untouched."""

from anomedge.components.blur import GaussianBlur2d
from anomedge.components.coreset import KCenterGreedy
from anomedge.components.features import FeatureExtractor
from anomedge.components.gaussian import MultiVariateGaussian
from anomedge.components.memory_bank import MemoryBank
from anomedge.components.moments import RunningMoments
from anomedge.components.resampling import LinearResample2d, NearestUpsample2d

__all__ = [
    "FeatureExtractor",
    "GaussianBlur2d",
    "KCenterGreedy",
    "LinearResample2d",
    "MemoryBank",
    "MultiVariateGaussian",
    "NearestUpsample2d",
    "RunningMoments",
]
