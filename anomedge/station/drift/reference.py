"""Reference of a station's drift: the distributions that the bundle or the device recorded, where they suit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from anomedge.bundle import Bundle
from anomedge.resample.outside_resize import stated_size
from anomedge.station.drift.figure import is_sufficient
from anomedge.threshold.normal_distributions import NormalDistributions

__all__ = ["IMAGE_FIGURES", "Reference", "ReferenceScores", "reference_of"]

IMAGE_FIGURES = ("brightness", "contrast", "sharpness")

Images = Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class ReferenceScores:
    """Scores of normal pictures, relative to a threshold.

    Attributes:
        normal: scores that are not above the threshold.
        alarms: number of scores above it.
        count: number of all scores.
    """

    normal: tuple[float, ...]
    alarms: int
    count: int

    @classmethod
    def of(cls, scores: tuple[float, ...], threshold: float) -> ReferenceScores:
        """Split scores at a threshold."""
        normal = tuple(score for score in scores if score <= threshold)
        return cls(normal, len(scores) - len(normal), len(scores))


@dataclass(frozen=True)
class Reference:
    """The recorded distributions that a station can be compared with.

    Attributes:
        source: file that holds them.
        scores: None if there are none, or too few.
        images: values of each image statistic; None if there are none, too few, or of pictures of another size.
    """

    source: str
    scores: ReferenceScores | None = None
    images: Images | None = None

    @property
    def lacking(self) -> str:
        """Names of the figures without a reference; empty if all have one."""
        names: list[str] = []
        names += ["scores", "alarms"] if self.scores is None else []
        names += IMAGE_FIGURES if self.images is None else []
        return ", ".join(names)


def reference_of(bundle: Bundle, window: int) -> Reference:
    """Return the device's record of normal pictures if there is one, or the manifest's."""
    local = bundle.local
    if local is not None and local.normals is not None:
        source, normals = "local.json", local.normals
    elif bundle.manifest.decision.origin.normals is not None:
        source, normals = "manifest", bundle.manifest.decision.origin.normals
    else:
        return Reference("none")
    split = ReferenceScores.of(normals.scores, bundle.decision.threshold)
    return Reference(
        source,
        split if is_sufficient(len(split.normal), window) else None,
        _images(bundle, normals, window),
    )


def _images(
    bundle: Bundle, normals: NormalDistributions, window: int
) -> Images | None:
    """Return the image statistics, unless the bundle's frames have another size than the measured pictures."""
    size = stated_size(bundle.manifest.framing)
    if size is not None and size != normals.size:
        return None
    if not is_sufficient(len(normals.brightness), window):
        return None
    return dict(zip(IMAGE_FIGURES, normals.of_images, strict=True))
