"""Default transforms of anomalib, for files that say that the default was used.

Read from the sources of anomalib 1.2.0, 2.3.3, 2.4.0, 2.5.0, 2.6.2 and 2.7.0; each
resizes with antialiasing and bilinear interpolation, unless said otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

from anomedge.components.timm_backbones import IMAGENET_SCALING
from anomedge.interop.anomalib.foreign import Triple
from anomedge.interop.anomalib.versions import V1, V2, V27
from anomedge.resample import Geometry

__all__ = ["UNSCALED", "Default", "default_of"]

UNSCALED: tuple[Triple, Triple] = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
"""Mean and standard deviation that leave images unchanged."""


@dataclass(frozen=True)
class Default:
    """Preprocessing that a model has without a transform of the user.

    Attributes:
        geometry: resize and central crop.
        mean, std: scaling of images in [0, 1].
        is_bicubic: whether anomalib resizes bicubically; here the resize is
            bilinear, which the import says.
    """

    geometry: Geometry
    mean: Triple = IMAGENET_SCALING[0]
    std: Triple = IMAGENET_SCALING[1]
    is_bicubic: bool = False


_USUAL = Default(Geometry((256, 256)))
_CROPPED = Default(Geometry((256, 256), (224, 224)))

_DEFAULTS: dict[tuple[str, str], Default] = {
    (V1, "padim"): _USUAL,
    (V2, "padim"): _USUAL,
    (V27, "padim"): _USUAL,
    (V1, "patchcore"): _CROPPED,
    (V2, "patchcore"): _USUAL,
    (V27, "patchcore"): _USUAL,
    (V1, "dfm"): _USUAL,
    (V2, "dfm"): _USUAL,
    (V27, "dfm"): _USUAL,
    (V1, "dfkde"): _USUAL,
    (V2, "dfkde"): _USUAL,
    (V27, "dfkde"): _USUAL,
    (V1, "reverse_distillation"): _USUAL,
    (V2, "reverse_distillation"): _USUAL,
    (V27, "reverse_distillation"): _USUAL,
    (V1, "stfpm"): _USUAL,
    (V2, "stfpm"): _USUAL,
    (V27, "stfpm"): _USUAL,
    (V1, "efficient_ad"): Default(Geometry((256, 256)), *UNSCALED),
    (V2, "efficient_ad"): Default(Geometry((256, 256)), *UNSCALED),
    (V27, "efficient_ad"): Default(Geometry((256, 256)), *UNSCALED),
    (V1, "fastflow"): _USUAL,
    (V2, "fastflow"): _USUAL,
    (V27, "fastflow"): _USUAL,
    (V27, "anomaly_dino"): Default(Geometry((252, 252)), is_bicubic=True),
}


def default_of(version: str, detector: str) -> Default | None:
    """Return the default of a model in a version of anomalib; None if it is not known.

    >>> default_of("1.2", "patchcore").geometry.image
    (224, 224)
    """
    return _DEFAULTS.get((version, detector))
