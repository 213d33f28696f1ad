"""Reverse distillation of anomalib: encoder, bottleneck and decoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from anomedge.components.reverse_networks import RESNETS, reverse_networks
from anomedge.errors import ModelError
from anomedge.interop.anomalib.backbone import (
    architecture_of,
    feature_extractor,
)
from anomedge.interop.anomalib.base import ImportedDetector, tensors_fit
from anomedge.interop.anomalib.foreign import (
    ForeignModel,
    Taken,
    TensorSource,
)
from anomedge.interop.anomalib.plain import shown
from anomedge.interop.anomalib.tensors import (
    loaded,
    refuse_misshapen,
    said_precision,
)
from anomedge.pipelines.reverse_distillation import (
    MapMode,
    ReverseDistillation,
    ReverseDistillationConfig,
)

__all__ = ["ImportedReverseDistillation"]

Size = tuple[int, int]

_ENCODER, _BOTTLENECK, _DECODER = "encoder.", "bottleneck.", "decoder."
_FUSION = "bottleneck.bn_layer."
_PARTS = (_ENCODER, _BOTTLENECK, _DECODER, "anomaly_map_generator.")
_COUNTER = "num_batches_tracked"
_LAYERS = 3
_MODES: tuple[MapMode, ...] = ("add", "multiply")
# Names in anomalib and here; an empty one is not used by anomalib's model.
_OF_BOTTLENECK = {
    "conv1.": "halve.0.0.",
    "bn1.": "halve.0.1.",
    "conv2.": "halve.0.3.",
    "bn2.": "halve.0.4.",
    "conv3.": "halve.1.0.",
    "bn3.": "halve.1.1.",
    "conv4.": "",
    "bn4.": "",
    "bn_layer.": "embed.",
}
_OF_DECODER = {
    "layer1.": "layers.0.",
    "layer2.": "layers.1.",
    "layer3.": "layers.2.",
}
_SHORTCUTS = (".downsample.", ".upsample.")


class ImportedReverseDistillation(ImportedDetector):
    """Reverse distillation, as `anomedge.pipelines.reverse_distillation.ReverseDistillation`."""

    name = "reverse_distillation"

    @classmethod
    def matches(cls, foreign: ForeignModel) -> bool:
        """Return whether the file has an encoder, a fusing bottleneck, a decoder, and nothing of another model."""
        needed = (_ENCODER, _FUSION, _DECODER)
        return tensors_fit(foreign, needed, _PARTS)

    @classmethod
    def build(
        cls, foreign: ForeignModel, size: Size, taken: Taken
    ) -> ReverseDistillation:
        """Return the trained detector; see `ImportedDetector.build`."""
        mode = _mode(foreign.arguments.get("anomaly_map_mode"))
        name = _backbone(foreign.arguments)
        encoder = feature_extractor(foreign, size, taken, prefix=_ENCODER)
        bottleneck, decoder = reverse_networks(name, encoder.channels)
        _fill(bottleneck, foreign, taken, _BOTTLENECK, _OF_BOTTLENECK)
        _fill(decoder, foreign, taken, _DECODER, _OF_DECODER)
        config = ReverseDistillationConfig.of(
            encoder, size, anomaly_map_mode=mode
        )
        taken.add("anomaly map mode", mode, "file")
        return ReverseDistillation(config, encoder, bottleneck, decoder).eval()


def _mode(stated: Any) -> MapMode:
    for mode in _MODES:
        if stated == mode:
            return mode
    raise ModelError(
        f"got anomaly_map_mode {shown(stated)} in the hyper-parameters; expected one of: {', '.join(_MODES)}"
    )


def _backbone(arguments: Mapping[str, Any]) -> str:
    """Return the name of the encoder's architecture, before its tensors are read."""
    name = architecture_of(arguments.get("backbone"))
    layers = arguments.get("layers")
    is_known = name in RESNETS
    if is_known and isinstance(layers, list | tuple) and len(layers) == _LAYERS:
        return name
    raise ModelError(
        f"got the backbone {name} with the layers {shown(layers)}; expected three layers of one of: {', '.join(RESNETS)}, "
        f"the networks for which anomalib has a decoder"
    )


def _renamed(
    foreign: ForeignModel, prefix: str, names: Mapping[str, str]
) -> dict[str, TensorSource]:
    """Return the tensors of a network by the names that they have here, without those that are not used."""
    found = {}
    for name, tensor in foreign.tensors.items():
        if not name.startswith(prefix):
            continue
        inner = name.removeprefix(prefix)
        known = [old for old in names if inner.startswith(old)]
        new = names[known[0]] if known else inner
        if not new:
            continue
        rest = inner.removeprefix(known[0]) if known else ""
        found[_with_shortcut(new + rest)] = tensor
    return found


def _with_shortcut(name: str) -> str:
    for part in _SHORTCUTS:
        name = name.replace(part, ".shortcut.")
    return name


def _fill(
    network: nn.Module,
    foreign: ForeignModel,
    taken: Taken,
    prefix: str,
    names: Mapping[str, str],
) -> None:
    """Load the tensors of a network; batch counters, which have no effect, keep their value."""
    what = prefix.removesuffix(".")
    found = _renamed(foreign, prefix, names)
    state = network.state_dict()
    refuse_misshapen(found, state, (_COUNTER,), f"the {what}")
    for name, tensor in found.items():
        if not name.endswith(_COUNTER):
            state[name] = loaded(tensor, name)
    network.load_state_dict(state)
    taken.add(what, f"{len(found)} tensors", "file")
    dtypes = [tensor.dtype for tensor in found.values()]
    said_precision(f"{what}'s weights", dtypes, taken)
